use std::time::Duration;

use super::*;

/// Everything that an exec returns: stdout, stderr, and its last message.
async fn finish(mut exec: Exec) -> (Vec<u8>, Vec<u8>, Output) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match tokio::time::timeout(Duration::from_secs(20), exec.output.recv()).await.expect("an exec that hangs") {
            Some(Output::Stdout(bytes)) => out.extend_from_slice(&bytes),
            Some(Output::Stderr(bytes)) => err.extend_from_slice(&bytes),
            Some(end) => return (out, err, end),
            None => panic!("an output without an end"),
        }
    }
}

fn local() -> Local {
    Local::new("local", Arc::new(Counters::default()))
}

#[tokio::test]
async fn streams_and_code_stay_apart() {
    let exec = local().exec("echo out; echo err >&2; exit 3").await.unwrap();
    let (out, err, end) = finish(exec).await;
    assert_eq!((out.as_slice(), err.as_slice()), (b"out\n".as_slice(), b"err\n".as_slice()));
    assert!(matches!(end, Output::Exit(Exit::Code(3))), "{end:?}");
}

#[tokio::test]
async fn a_signal_is_not_a_code() {
    let (_, _, end) = finish(local().exec("kill -TERM $$").await.unwrap()).await;
    assert!(matches!(&end, Output::Exit(Exit::Signal(name)) if name == "TERM"), "{end:?}");
}

#[tokio::test]
async fn unread_input_does_not_delay_the_end() {
    let exec = local().exec("exit 0").await.unwrap();
    let stdin = exec.stdin.clone();
    let upload = tokio::spawn(async move {
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        while stdin.send(piece.clone()).await.is_ok() {}
    });
    let (_, _, end) = finish(exec).await;
    assert!(matches!(end, Output::Exit(Exit::Code(0))), "{end:?}");
    tokio::time::timeout(Duration::from_secs(5), upload).await.expect("a writer that hangs").unwrap();
}

#[tokio::test]
async fn a_command_has_its_own_process_group() {
    let (out, _, _) = finish(local().exec("ps -o pgid= -p $$; echo $$").await.unwrap()).await;
    let text = String::from_utf8(out).unwrap();
    let mut words = text.split_whitespace();
    assert_eq!(words.next(), words.next());
}

#[tokio::test]
async fn an_abandoned_command_keeps_running() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("done");
    let exec = local().exec(&format!("sleep 0.2; echo >'{}'", file.display())).await.unwrap();
    drop(exec);
    for _ in 0..200 {
        if file.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the command died with its reader");
}
