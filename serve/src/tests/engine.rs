use super::*;
use std::sync::mpsc;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle as Spawned;
use unisono_jobs::Embedder;

#[path = "../../../jobs/tests/support/mod.rs"]
mod tiny;

fn engine() -> Arc<Engine> {
    let load = || Ok(Held::Embedder(Embedder::new(tiny::model(7, &tiny::TOWERS))));
    let batching = Batching { wait: std::time::Duration::ZERO, ..Batching::default() };
    Arc::new(
        Engine::start(
            ("tiny", Path::new("/none")),
            load().unwrap(),
            Box::new(load),
            &Memory::new(None),
            batching,
        )
        .unwrap(),
    )
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

fn text(ids: &[i64]) -> Prepared {
    Prepared::Text(ids.to_vec())
}

/// Keeps the model busy until the sender says otherwise.
fn held_up(runtime: &Runtime, engine: &Arc<Engine>) -> (mpsc::Sender<()>, Spawned<Answer<()>>) {
    let ((release, wait), (began, begun)) = (mpsc::channel(), mpsc::channel());
    let engine = engine.clone();
    let task = runtime.spawn(async move {
        let work = move |_: &mut Held, _: &mut dyn FnMut() -> Flow| {
            began.send(()).unwrap();
            wait.recv().unwrap();
            Ok(())
        };
        engine.run(work).await
    });
    begun.recv().unwrap();
    (release, task)
}

fn ask(runtime: &Runtime, engine: &Arc<Engine>, inputs: Vec<Prepared>) -> Spawned<Answer<Vec<Vec<f32>>>> {
    let (before, of) = (engine.waiting(), engine.clone());
    let asked = runtime.spawn(async move { of.embed(inputs, None).await });
    while engine.waiting() == before {
        std::thread::yield_now();
    }
    asked
}

#[test]
fn what_waits_goes_through_together_and_each_gets_its_own() {
    let (runtime, engine) = (runtime(), engine());
    let all = [text(&[1, 5, 9, 2]), text(&[1, 7, 2]), text(&[1, 3, 3, 3, 3, 2])];
    let alone: Vec<Vec<f32>> = all
        .iter()
        .map(|one| runtime.block_on(engine.embed(vec![one.clone()], None)).unwrap().swap_remove(0))
        .collect();
    assert_eq!(engine.done().batches.load(Ordering::Relaxed), 3);
    let (release, _) = held_up(&runtime, &engine);
    let one = ask(&runtime, &engine, vec![all[0].clone(), all[1].clone()]);
    let image = ask(&runtime, &engine, vec![Prepared::Image(image::RgbImage::new(16, 16))]);
    let two = ask(&runtime, &engine, vec![all[2].clone()]);
    release.send(()).unwrap();
    let rows = [runtime.block_on(one).unwrap().unwrap(), runtime.block_on(two).unwrap().unwrap()].concat();
    for (a, b) in alone.iter().zip(&rows) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
    }
    assert_eq!(runtime.block_on(image).unwrap().unwrap().len(), 1);
    // One of texts, one of the image between them.
    assert_eq!(engine.done().batches.load(Ordering::Relaxed), 5);
    assert_eq!(engine.done().items.load(Ordering::Relaxed), 7);
}

#[test]
fn whoever_leaves_is_not_computed_for() {
    let (runtime, engine) = (runtime(), engine());
    let (release, _) = held_up(&runtime, &engine);
    let gone = ask(&runtime, &engine, vec![text(&[1, 2])]);
    let stays = ask(&runtime, &engine, vec![text(&[1, 4, 2])]);
    gone.abort();
    assert!(runtime.block_on(gone).unwrap_err().is_cancelled());
    release.send(()).unwrap();
    assert_eq!(runtime.block_on(stays).unwrap().unwrap().len(), 1);
    assert_eq!(engine.done().items.load(Ordering::Relaxed), 1);
}

#[test]
fn what_panics_costs_itself_alone_and_the_end_is_in_order() {
    let (runtime, engine) = (runtime(), engine());
    let work = |_: &mut Held, _: &mut dyn FnMut() -> Flow| -> Result<(), JobError> { panic!("on purpose") };
    assert_eq!(runtime.block_on(engine.run(work)).unwrap_err().status, 500);
    // A wrong input costs its own request, though it goes with others.
    let (release, _) = held_up(&runtime, &engine);
    let wrong = ask(&runtime, &engine, vec![text(&[1; 400])]);
    let right = ask(&runtime, &engine, vec![text(&[1, 2])]);
    release.send(()).unwrap();
    assert!(runtime.block_on(wrong).unwrap().is_err());
    assert_eq!(runtime.block_on(right).unwrap().unwrap().len(), 1);
    let cut = runtime.block_on(engine.embed(vec![text(&[1, 2])], Some(5))).unwrap();
    assert_eq!(cut[0].len(), 5);
    assert!(runtime.block_on(engine.embed(vec![text(&[1, 2])], Some(500))).is_err());
    assert_eq!(runtime.block_on(engine.embed(vec![text(&[1, 2])], None)).unwrap()[0].len(), tiny::DIM);
    engine.end();
    assert_eq!(runtime.block_on(engine.embed(vec![text(&[1, 2])], None)).unwrap_err().status, 503);
}

#[test]
fn within_a_bound_the_one_that_was_asked_for_longest_ago_goes_and_comes_back() {
    let runtime = runtime();
    let load = |seed: u64| move || Ok(Held::Embedder(Embedder::new(tiny::model(seed, &tiny::TOWERS))));
    let each = load(1)().unwrap().bytes();
    let memory = Memory::new(Some(2 * each));
    let batching = Batching { wait: std::time::Duration::ZERO, ..Batching::default() };
    let start = |seed: u64| {
        let name = format!("tiny {seed}");
        let held = load(seed)().unwrap();
        Engine::start((&name, Path::new("/none")), held, Box::new(load(seed)), &memory, batching).unwrap()
    };
    let engines: Vec<Engine> = (1..4).map(start).collect();
    let there = || engines.iter().map(|e| e.slot().is_there()).collect::<Vec<_>>();
    assert_eq!(there(), [false, true, true]);
    let ask = |i: usize| runtime.block_on(engines[i].embed(vec![text(&[1, 4, 2])], None)).unwrap();
    let first = ask(2);
    ask(0);
    assert_eq!(there(), [true, false, true]);
    // It comes back as it was.
    ask(1);
    assert_eq!(there(), [true, true, false]);
    assert_eq!(ask(2), first);
    assert_eq!(engines.iter().map(|e| e.slot().loads()).collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(there(), [false, true, true]);
    // Many ask for all of them at once: nothing waits for itself.
    let engines: Vec<Arc<Engine>> = engines.into_iter().map(Arc::new).collect();
    let all: Vec<_> = (0..60)
        .map(|i| {
            let of = engines[i % 3].clone();
            runtime.spawn(async move { of.embed(vec![text(&[1, 4, 2])], None).await })
        })
        .collect();
    for asked in all {
        assert_eq!(runtime.block_on(asked).unwrap().unwrap().len(), 1);
    }
    assert!(engines.iter().filter(|e| e.slot().is_there()).count() <= 2);
    // One that can never fit is refused.
    let small = Memory::new(Some(each - 1));
    let held = load(1)().unwrap();
    let refused = Engine::start(("large", Path::new("/none")), held, Box::new(load(1)), &small, batching);
    assert!(refused.unwrap_err().to_string().contains("--memory"));
    // One that is not asked any more takes no room.
    drop(engines);
    start(5);
}
