use proptest::prelude::*;

use super::*;

const LINE: &str = "20261121-x-0123456789abcdef 2 watch=alive intent=1 task=stopped cancel=0 exit=- result=0 \
                    next=- session=abc-1 active=15 beat=3 epoch=1 log=77:100 check=0:0 last=2";

#[test]
fn every_field_of_a_state_line_is_read() {
    let state = read_state(LINE).unwrap();
    assert_eq!((state.attempt, state.watch, state.task), (2, Alive::Yes, Alive::Stopped));
    assert_eq!((state.session.as_deref(), state.exit, state.beat), (Some("abc-1"), None, Some(3)));
}

#[test]
fn a_session_id_that_is_shell_text_is_none() {
    let state = read_state(&LINE.replace("abc-1", "$(x)")).unwrap();
    assert_eq!(state.session, None);
}

#[test]
fn the_launch_is_read_where_the_host_reports_it() {
    let launch = |text: &str| read_state(&format!("{LINE} launch={text}")).unwrap().launch;
    assert_eq!(launch("fresh:-"), Some(Launched { resumed: false, session: None }));
    assert_eq!(launch("resume:abc-1"), Some(Launched { resumed: true, session: Some("abc-1".into()) }));
    assert_eq!((launch("-"), launch("dance:x"), read_state(LINE).unwrap().launch), (None, None, None));
    assert_eq!(launch("resume:$(x)"), Some(Launched { resumed: true, session: None }));
}

#[test]
fn a_result_without_its_last_line_is_ignored() {
    let text = "class truncated\nreason exit\nexit 1\nactive 3\n";
    assert_eq!(read_result(text), None);
    let outcome = read_result(&format!("{text}end 1\n")).unwrap();
    assert_eq!((outcome.exit, outcome.active, outcome.class.word()), (Some(1), 3, "truncated"));
}

#[test]
fn missing_paths_of_a_capture_come_before_the_result() {
    let text = "lacks count 2 bytes 30\nlacks 30 unreadable dist\nlacks 0 special p\nclass done\nend 1\n";
    let lacks = read_result(text).unwrap().uncaptured.unwrap();
    assert_eq!((lacks.count, lacks.bytes, lacks.first[1].path.as_str()), (2, 30, "p"));
    let named_nowhere = read_result("class done\nuncaptured 3\nend 1\n").unwrap().uncaptured.unwrap();
    assert_eq!((named_nowhere.count, named_nowhere.first.len()), (3, 0));
    assert_eq!(read_result("class done\nuncaptured 0\nend 1\n").unwrap().uncaptured, None);
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(line in "\\PC{0,200}") {
        let _ = read_line(&line);
        let _ = read_line(&format!("s {line}"));
        let _ = read_result(&line);
    }
}
