use super::*;
use proptest::prelude::*;

fn merge(rendered: &str, existing: Option<&str>) -> String {
    String::from_utf8(super::merge(rendered, existing.map(str::as_bytes))).unwrap()
}

const PAGE: &str = "# Background Agent Handoff: x\n\n## Metadata\n\n- Status: running\n\n## Commands\n\n```bash\nagent\n## no\n```\n\n## Final Outcome\n\n- Pending.\n";

#[test]
fn a_first_page_is_as_rendered() {
    assert_eq!(merge(PAGE, None), PAGE);
    assert_eq!(merge(PAGE, Some("")), PAGE);
    assert_eq!(merge(PAGE, Some(PAGE)), PAGE);
}

#[test]
fn peoples_sections_stay_after_the_section_they_followed() {
    let existing = "# Old\n\n## Top\nt\n\n## Metadata\n- Status: queued\n## My Notes \n\n  keep  me\t\n\n### deeper\n\n## Commands\n\nold\n\n## Final Outcome\n\nMerged as 1234.\n\n# After\nlast";
    let expected = "# Background Agent Handoff: x\n\n## Top\nt\n\n## Metadata\n\n- Status: running\n\n## My Notes \n\n  keep  me\t\n\n### deeper\n\n## Commands\n\n```bash\nagent\n## no\n```\n\n## Final Outcome\n\nMerged as 1234.\n\n# After\nlast";
    assert_eq!(merge(PAGE, Some(existing)), expected);
    assert_eq!(merge(PAGE, Some(expected)), expected);
}

#[test]
fn an_empty_outcome_is_rendered_again() {
    let page = PAGE.replace("- Pending.", "Landed as 1234.");
    assert_eq!(merge(&page, Some(PAGE)), page);
    let written = "## FINAL OUTCOME ##\r\nBy hand.\r\n";
    assert!(merge(&page, Some(written)).ends_with(written));
}

#[test]
fn a_heading_in_code_begins_no_section() {
    let existing = "## Notes\n~~~~\n## Metadata\n~~~\n## Logs\n~~~~\nend\n## Metadata\nold\n";
    let merged = merge(PAGE, Some(existing));
    assert!(merged.contains("## Notes\n~~~~\n## Metadata\n~~~\n## Logs\n~~~~\nend\n"), "{merged}");
    assert!(!merged.contains("old"));
}

#[test]
fn an_open_fence_hides_no_section_of_ours() {
    let existing = "# T\n\n## Notes\n\n```sh\nmake";
    let merged = merge(PAGE, Some(existing));
    assert!(merged.contains("## Notes\n\n```sh\nmake\n```\n## Metadata"), "{merged}");
    assert_eq!(merge(PAGE, Some(&merged)), merged);
}

#[test]
fn our_section_that_a_template_does_not_use_is_removed() {
    let short = "# T\n\n## Metadata\n\n- Status: done\n";
    let merged = merge(short, Some(&PAGE.replace("- Pending.", "Merged.")));
    assert_eq!(merged, format!("{short}## Final Outcome\n\nMerged.\n"));
}

#[test]
fn an_open_comment_of_people_hides_no_section_of_ours() {
    let existing = "# T\n\n## Notes\n\n<!-- to do\n";
    let merged = merge(PAGE, Some(existing));
    assert!(merged.contains("## Notes\n\n<!-- to do\n-->\n## Metadata"), "{merged}");
    assert_eq!(merge(PAGE, Some(&merged)), merged);
}

#[test]
fn invalid_utf_8_is_kept() {
    let existing = b"# T\n\n## Notes \xff\n\n\xe4\xf6\r\n";
    let merged = super::merge(PAGE, Some(existing));
    assert!(merged.windows(14).any(|bytes| bytes == b"## Notes \xff\n\n\xe4\xf6"), "{}", merged.escape_ascii());
}

#[test]
fn a_heading_with_a_line_under_it_is_a_section() {
    let existing = "# T\n\nFinal Outcome\n-------------\n\nMerged.\n\nMy\nNotes\n---\nx\n";
    let merged = merge(PAGE, Some(existing));
    assert!(merged.ends_with("Final Outcome\n-------------\n\nMerged.\n\nMy\nNotes\n---\nx\n"), "{merged}");
    assert_eq!(merge(PAGE, Some(&merged)), merged);
}

#[test]
fn an_empty_rendering_changes_nothing() {
    assert_eq!(merge(" \n", Some("## Notes\nx")), "## Notes\nx");
}

/// Random text made of the Markdown that matters here.
fn markdown() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("## Metadata".to_owned()),
        Just("## Final Outcome".to_owned()),
        Just("## Notes".to_owned()),
        Just("- Pending.".to_owned()),
        " {0,4}(<!--|-->|<div>|<script>|</script>|<pre>)",
        " {0,4}(=+|-+)",
        "# [a-c]",
        " {0,5}## ?[A-C]? ?#{0,2}",
        " {0,5}[-*1+]?[.]? {0,5}(`{2,5}|~{2,5})[a `~]{0,2}",
        "[ a\t\r#]{0,5}",
        any::<String>(),
    ];
    (prop::collection::vec(line, 0..16), any::<bool>()).prop_map(|(lines, end)| {
        let text = lines.join("\n");
        if end { text + "\n" } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_global_rejects: 8192, ..ProptestConfig::default() })]

    #[test]
    fn merging_again_changes_nothing(rendered in markdown(), existing in markdown()) {
        prop_assume!(sections(rendered.as_bytes()).iter().filter(|section| section.is_outcome()).count() < 2);
        let once = merge(&rendered, Some(&existing));
        prop_assert_eq!(merge(&rendered, Some(&once)), once);
    }

    #[test]
    fn what_people_wrote_survives(existing in markdown()) {
        let merged = merge(PAGE, Some(&existing));
        let known = ["metadata", "commands"];
        for section in sections(existing.as_bytes()) {
            let Some(name) = &section.name else { continue };
            let ours = known.contains(&name.as_str()) || OURS.contains(&name.as_str()) || section.is_outcome() && !section.is_written();
            let text = std::str::from_utf8(section.text).unwrap();
            prop_assert!(ours || merged.contains(text), "{:?} is not in {:?}", text, merged);
        }
        let names = |text: &str| sections(text.as_bytes()).into_iter().filter_map(|section| section.name).collect::<Vec<_>>();
        for section in sections(PAGE.as_bytes()).iter().filter(|section| !section.is_outcome()) {
            prop_assert!(merged.contains(std::str::from_utf8(section.text).unwrap()));
        }
        for name in names(PAGE) {
            prop_assert!(names(&merged).contains(&name), "{} is no section of {:?}", name, merged);
        }
    }

    #[test]
    fn the_sections_together_are_the_text(text in any::<String>()) {
        let pieces: Vec<u8> = sections(text.as_bytes()).iter().flat_map(|section| section.text).copied().collect();
        prop_assert_eq!(pieces, text.as_bytes());
    }
}

#[test]
fn what_handoff_recorded_comes_first_and_peoples_words_stay_after_it() {
    let recorded = |text: &str| crate::config::recorded::marked(text);
    let page = |text: &str| PAGE.replace("- Pending.", &recorded(text));
    let (first, second) = (page("- Finished."), page("- Finished.\n- Branch: x."));
    assert_eq!(merge(&first, Some(PAGE)), first);
    assert_eq!(merge(&second, Some(&first)), second, "it is replaced");
    let written = PAGE.replace("- Pending.", "Merged as 1234.\n\n- by me");
    let merged = merge(&first, Some(&written));
    assert_eq!(merged, format!("{first}\nMerged as 1234.\n\n- by me\n"));
    assert_eq!(merge(&first, Some(&merged)), merged);
    assert_eq!(merge(&second, Some(&merged)), format!("{second}\nMerged as 1234.\n\n- by me\n"));
    let edited = first.replace("- Finished.", "- Finished, I hope.");
    let merged = merge(&first, Some(&edited));
    assert!(merged.starts_with(&first) && merged.contains("- Finished, I hope."), "{merged}");
    assert_eq!(merge(&first, Some(&merged)), merged);
}
