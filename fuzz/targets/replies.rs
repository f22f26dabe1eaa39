//! The answers of all verbs that answer once, mainly `probe`. Any cut gives the same facts.
#![no_main]

use std::fmt::Debug;

use handoff::model::attempt::Next;
use handoff::model::id::{HandoffId, RemoteName, Uid};
use handoff::remote::client::Remote;
use handoff::remote::ensure::Ensure;
use handoff::remote::error::RemoteError;
use handoff::remote::release::ReleaseOptions;
use handoff_fuzz::{assert_harmless, canned, cut};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = canned::told(&[data], ask);
    assert_eq!(canned::told(&cut(data), ask), whole);
});

async fn ask(host: Remote) -> String {
    let id: HandoffId = "x".parse().unwrap();
    let name = RemoteName::new(&id, &Uid::from_random([0; 10]));
    let probe = host.probe(None, &[]).await;
    if let Ok(facts) = &probe {
        let (path, version) = facts.agent.clone().unwrap_or_default();
        for text in [&facts.system, &facts.home, &facts.root, &facts.git, &facts.detach, &path, &version] {
            assert!(!text.contains(char::is_control) && text.chars().count() <= 300, "{text:?}");
        }
    }
    let options = ReleaseOptions::default();
    let ensure = Ensure {
        name: name.clone(),
        attempt: 1,
        grant: 1,
        started: false,
        strays: vec![2],
        spec: Default::default(),
        secrets: Default::default(),
    };
    [
        said(probe),
        said(host.ensure(&ensure, None).await),
        said(host.set_next(&name, 1, &Next::End).await),
        said(host.set_epoch(&name, 2).await),
        said(host.cancel(&name, 1, &handoff::model::attempt::CancelReason::Stop, 1).await),
        said(host.capture(&name, 1).await),
        said(host.artifacts(&name, 1, &[], 1).await),
        said(host.release(&name, &[], &options).await),
    ]
    .join("\n")
}

fn said<T: Debug>(answer: Result<T, RemoteError>) -> String {
    match answer {
        Ok(facts) => format!("{facts:?}"),
        Err(error) => {
            let words = error.to_string();
            words.lines().for_each(|line| assert_harmless(&handoff::ui::text::neutral(line)));
            words
        }
    }
}
