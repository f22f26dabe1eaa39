use std::sync::Mutex;

use super::*;
use crate::model::event::Kind;
use crate::model::testing::created;

/// Has no services, and notes who asked for them.
#[derive(Default)]
struct Nothing {
    asked: Mutex<Vec<HandoffId>>,
    configuration: Mutex<Option<SystemTime>>,
    failures: Mutex<Vec<Option<Duration>>>,
}

impl Surroundings for Nothing {
    fn services(&self, place: &Place) -> Result<Arc<Services>, String> {
        self.asked.lock().unwrap().push(place.1.clone());
        Err("no configuration".to_owned())
    }

    fn configuration(&self) -> Option<SystemTime> {
        *self.configuration.lock().unwrap()
    }

    fn tell(&self, _: &Place, event: &Event) {
        if let Event::Failed { again, .. } = event {
            self.failures.lock().unwrap().push(*again);
        }
    }
}

struct Scene {
    folder: tempfile::TempDir,
    store: Store,
    surroundings: Arc<Nothing>,
    watcher: Watcher,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let common_dir = folder.path().join("repo/.git");
        let store = Store::new(&common_dir);
        let surroundings = Arc::new(Nothing::default());
        let watcher = Watcher::new(surroundings.clone());
        store.create(created("one")).unwrap();
        index::remember(folder.path(), &common_dir).unwrap();
        Scene { folder, store, surroundings, watcher }
    }

    /// How often services were asked for after another look.
    fn look(&mut self) -> usize {
        self.watcher.look(self.folder.path()).unwrap();
        self.surroundings.asked.lock().unwrap().len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_handoff_is_left_to_the_command_that_records_it() {
    let mut scene = Scene::new();
    assert_eq!(scene.look(), 0, "its command may be about to take the lock");
    let directory = scene.store.directory(&"one".parse().unwrap());
    let driver = DriverLock::try_take(&directory).unwrap().unwrap();
    assert_eq!((scene.look(), scene.look()), (0, 0), "another process drives it");
    drop(driver);
    assert_eq!(scene.look(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_good_is_tried_again_only_after_a_change() {
    let mut scene = Scene::new();
    scene.look();
    assert_eq!(scene.look(), 1);
    tokio::time::advance(Duration::from_secs(86_400)).await;
    assert_eq!((scene.look(), scene.look()), (1, 1));
    *scene.surroundings.configuration.lock().unwrap() = Some(SystemTime::UNIX_EPOCH);
    assert_eq!((scene.look(), scene.look()), (2, 2));
    let mut journal = scene.store.open(&"one".parse().unwrap()).unwrap();
    journal.append(Kind::StopRequested).unwrap();
    scene.look();
    assert_eq!(*scene.surroundings.failures.lock().unwrap(), [None, None]);
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_after_longer_and_longer_pauses() {
    let mut scene = Scene::new();
    let place = (scene.folder.path().join("repo/.git"), "one".parse().unwrap());
    for _ in 0..12 {
        scene.watcher.failed(&place, "the host is away".to_owned(), true);
    }
    let pauses: Vec<u64> =
        scene.surroundings.failures.lock().unwrap().iter().map(|pause| pause.unwrap().as_secs()).collect();
    assert_eq!((&pauses[..4], pauses[11]), (&[60, 120, 240, 480][..], 3600));
    assert_eq!(scene.look(), 0);
    tokio::time::advance(Duration::from_secs(3601)).await;
    assert_eq!(scene.look(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handoff_at_rest_is_not_looked_into_again() {
    let mut scene = Scene::new();
    let id: HandoffId = "one".parse().unwrap();
    scene.store.open(&id).unwrap().append(Kind::StopRequested).unwrap();
    let is_active = scene.store.summary(&id).unwrap().status.is_active();
    scene.look();
    let place = (scene.folder.path().join("repo/.git"), id.clone());
    assert_eq!(scene.watcher.known[&place].state == State::AtRest, !is_active);
    assert!(!is_active);
    assert_eq!((scene.look(), scene.look()), (0, 0));
    // Forgotten handoffs are forgotten here, too.
    scene.store.remove(&id).unwrap();
    scene.look();
    assert!(scene.watcher.known.is_empty());
}
