//! Tests of the harness itself, with OpenSSH's own client. The other tests depend on these guarantees.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::skip;
use crate::support::laptop::Laptop;
use crate::support::proxy::{Direction, Proxy};
use crate::support::site::{HOST, Site};
use crate::support::sshd::{self, Setup};
use crate::support::{agent, processes, wait};

#[test]
fn a_host_logs_its_ordinary_user_in_at_home() {
    let host = Setup::default().start();
    let laptop = Laptop::new();
    laptop.knows(&host.route("buildbox"));
    let ran = laptop.ssh("buildbox", "id -un; echo \"$HOME\"").success();
    assert_eq!(ran.stdout, format!("{}\n{}\n", host.user.name, host.user.home.display()));
    assert_eq!(host.logins(), 1);
}

#[test]
fn a_host_that_is_gone_leaves_nothing() {
    let host = Setup::default().start();
    let laptop = Laptop::new();
    laptop.knows(&host.route("buildbox"));
    laptop.ssh("buildbox", "sleep 300 >/dev/null 2>&1 & echo").success();
    let (uid, home, made) = (host.user.uid, host.user.home.clone(), sshd::can_choose_shell());
    drop(host);
    assert!(!home.exists());
    if !made {
        return skip!("the user is the developer's own, whose processes are left alone");
    }
    assert_eq!(processes::of_user(uid), Vec::<i32>::new());
}

#[test]
fn a_host_goes_down_and_comes_back_at_its_address() {
    let mut host = Setup::default().start();
    let laptop = Laptop::new();
    laptop.knows(&host.route("buildbox"));
    laptop.ssh("buildbox", "nohup sleep 300 >/dev/null 2>&1 & echo $! >pid").success();
    host.down();
    laptop.ssh("buildbox", "true").fails_with(255).says(&["refused"]);
    host.up();
    laptop.ssh("buildbox", "kill -0 $(cat pid) && kill $(cat pid)").success();
}

#[test]
fn each_shell_is_the_hosts_shell() {
    if !sshd::can_choose_shell() || !sshd::can_replace_sh() {
        return skip!("only root with a mount namespace can choose the host's shell");
    }
    let laptop = Laptop::new();
    for (shell, sign) in [("dash", "dash "), ("bash", "bash "), ("busybox", "ash ")] {
        let Some(path) = ["/bin", "/usr/bin"].map(|dir| Path::new(dir).join(shell)).into_iter().find(|p| p.exists())
        else {
            return skip!("{shell} is not installed");
        };
        let host = Setup::default().login_shell("/bin/sh").sh(&path).start();
        laptop.knows(&host.route(shell));
        let probe = "if [ -n \"$BASH_VERSION\" ]; then echo bash; elif busybox 2>/dev/null | head -n 1 | \
                     grep -q . && cmp -s /bin/sh \"$(command -v busybox)\"; then echo ash; else echo dash; fi";
        assert_eq!(laptop.ssh(shell, probe).success().stdout.trim(), sign.trim(), "{shell}");
    }
}

#[test]
fn settings_reach_the_server() {
    let host = Setup::default().setting("MaxSessions 0").start();
    let laptop = Laptop::new();
    laptop.knows(&host.route("buildbox"));
    laptop.ssh("buildbox", "true").fails_with(255);
}

#[test]
fn an_unknown_key_is_refused() {
    let host = Setup::default().start();
    let laptop = Laptop::new();
    let mut route = host.route("buildbox");
    route.known_hosts = host.file("none");
    laptop.knows(&route);
    laptop.ssh("buildbox", "true").fails_with(255).says(&["Host key verification failed"]);
}

#[test]
fn the_scripted_agent_follows_the_plan_it_is_given() {
    let site = Site::new();
    site.plan("turn 1\nedit new.txt <<END\nnew\nEND\nratelimit\nturn 2\nfinish Done.\n");
    let run = "printf 'the task' | ~/.local/bin/agent --resume s --print --output-format stream-json --trust --yolo";
    let first = site.laptop.ssh(HOST, run).fails_with(1).says(&["429"]);
    assert!(first.stdout.contains("\"session_id\":\"s\""), "{}", first.stdout);
    let second = site.laptop.ssh(HOST, run).success();
    assert!(second.stdout.contains("\"result\":\"Done.\""), "{}", second.stdout);
    assert_eq!(std::fs::read_to_string(site.host.user.home.join("new.txt")).unwrap(), "new\n");
    let prompts = vec!["the task\n".to_owned(), "the task\n".to_owned()];
    assert_eq!(agent::prompts(&site.host.user), [("s".to_owned(), prompts)]);
}

/// A server that echoes its input.
fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut { stream }));
        }
    });
    address
}

#[test]
fn the_proxy_carries_delays_and_counts() {
    let proxy = Proxy::to(echo());
    let mut line = TcpStream::connect(proxy.address).unwrap();
    let mut round_trip = || {
        let began = Instant::now();
        line.write_all(b"ping").unwrap();
        line.read_exact(&mut [0; 4]).unwrap();
        began.elapsed()
    };
    assert!(round_trip() < wait::stretched(Duration::from_millis(50)));
    proxy.round_trip(Duration::from_millis(100));
    assert!(round_trip() >= Duration::from_millis(100));
    assert_eq!((proxy.connections(), proxy.bytes(Direction::Up), proxy.bytes(Direction::Down)), (1, 8, 8));
}

#[test]
fn the_proxy_counts_round_trips_one_after_another() {
    let proxy = Proxy::to(echo());
    // The delay is long compared with the time that a busy machine may need between the two.
    proxy.round_trip(Duration::from_millis(400));
    let mut line = TcpStream::connect(proxy.address).unwrap();
    for trips in 1..=3 {
        // Two concurrent requests take one round trip together.
        line.write_all(b"one").unwrap();
        std::thread::sleep(Duration::from_millis(5));
        line.write_all(b"two").unwrap();
        line.read_exact(&mut [0; 6]).unwrap();
        assert_eq!(proxy.round_trips(), trips);
    }
    proxy.count_anew();
    assert_eq!(proxy.round_trips(), 0);
}

#[test]
fn delay_costs_no_throughput_and_the_end_arrives() {
    let proxy = Proxy::to(echo());
    proxy.round_trip(Duration::from_millis(100));
    let mut line = TcpStream::connect(proxy.address).unwrap();
    let mut writer = line.try_clone().unwrap();
    let began = Instant::now();
    std::thread::spawn(move || {
        writer.write_all(&vec![7; 16 << 20]).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    line.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), 16 << 20);
    assert!(began.elapsed() < wait::stretched(Duration::from_secs(5)), "{:?}", began.elapsed());
}

#[test]
fn the_proxy_cuts_at_the_byte() {
    let proxy = Proxy::to(echo());
    proxy.cut_after(Direction::Down, 1000);
    let mut line = TcpStream::connect(proxy.address).unwrap();
    line.write_all(&[1; 5000]).unwrap();
    let mut seen = 0;
    let error = loop {
        match line.read(&mut [0; 100]) {
            Ok(0) => panic!("closed, not reset"),
            Ok(length) => seen += length,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(seen <= 1000, "{seen}");
    assert!(!proxy.cut_is_due(Direction::Down));
    TcpStream::connect(proxy.address).unwrap().write_all(b"again").unwrap();
}

#[test]
fn a_stalled_line_goes_on_afterwards() {
    let proxy = Proxy::to(echo());
    let mut line = TcpStream::connect(proxy.address).unwrap();
    proxy.stall(true);
    line.write_all(b"ping").unwrap();
    line.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    line.read_exact(&mut [0; 4]).unwrap_err();
    proxy.stall(false);
    line.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    line.read_exact(&mut [0; 4]).unwrap();
}

#[test]
fn a_refusing_and_a_throttled_line() {
    let proxy = Proxy::to(echo());
    proxy.refuse(true);
    let refused = TcpStream::connect(proxy.address).and_then(|mut line| line.read(&mut [0; 1]));
    assert!(matches!(refused, Ok(0) | Err(_)), "{refused:?}");
    proxy.refuse(false);
    proxy.throttle(Direction::Down, 100_000);
    let mut line = TcpStream::connect(proxy.address).unwrap();
    let began = Instant::now();
    line.write_all(&[0; 50_000]).unwrap();
    line.read_exact(&mut vec![0; 50_000]).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[test]
fn ssh_goes_through_the_proxy() {
    let host = Setup::default().start();
    let proxy = Proxy::to(host.address);
    let laptop = Laptop::new();
    laptop.knows(&host.route_by("buildbox", proxy.address));
    proxy.round_trip(Duration::from_millis(20));
    laptop.ssh("buildbox", "true").success();
    assert_eq!(proxy.connections(), 1);
    proxy.cut_after(Direction::Down, 1);
    laptop.ssh("buildbox", "true").fails_with(255);
}

#[test]
#[ignore = "fails on purpose, for the next one"]
fn fails_while_a_task_runs() {
    let site = Site::new();
    site.plan("turn 1\nsay Working.\nhang\n");
    let running = site.run(&[]).start();
    running.line("the agent's words", |line| line.contains("Working."));
    wait::until("what never comes", Duration::from_secs(1), || None::<()>);
}

#[test]
#[ignore = "fails on purpose, for the next one"]
fn waits_for_a_program_that_has_ended() {
    let site = Site::new();
    let running = site.handoff(&["show"]).start();
    running.line("the agent's words", |line| line.contains("Working."));
}

#[test]
fn a_wait_that_fails_shows_both_sides() {
    let fails = |name: &str| {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["--ignored", "--exact", "--nocapture", name]);
        let ran = test.output().unwrap();
        assert!(!ran.status.success(), "{name} passed");
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    let text = fails("harness::fails_while_a_task_runs");
    let parts = [
        "in vain for what never comes",
        "--- handoff run --host buildbox",
        "it had not ended",
        "--- the server of",
        "--- attempt 1",
        "Accepted publickey",
        "runner.log:",
        "watch.1 -> ",
        "--- its processes",
    ];
    parts.iter().for_each(|part| assert!(text.contains(part), "{part:?} is not in\n{text}"));
    assert!(text.matches("Working.").count() >= 2, "the agent's words on both sides:\n{text}");
    let began = Instant::now();
    let text = fails("harness::waits_for_a_program_that_has_ended");
    assert!(text.contains("has ended without the agent's words") && text.contains("exit status: "), "{text}");
    assert!(began.elapsed() < wait::stretched(Duration::from_secs(60)), "it waited for a program that had ended");
}

#[test]
fn a_mock_model_answers_and_records() {
    let Some(mock) = crate::support::mock::Mock::start("429once") else {
        return skip!("python3 is not installed");
    };
    let post = |body: &str| {
        let mut line = TcpStream::connect(("127.0.0.1", mock.port)).unwrap();
        let head = "POST /v1/messages HTTP/1.1\r\nHost: mock\r\nConnection: close\r\n";
        line.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        let mut answer = String::new();
        line.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(post("{}").contains("rate_limit_error"));
    assert!(post(r#"{"stream":true}"#).contains("Done: wrote hello.txt."));
    wait::until("both requests to be recorded", Duration::from_secs(5), || (mock.requests().len() == 2).then_some(()));
}
