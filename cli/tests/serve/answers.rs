//! Answers are those of the commands.

use crate::http::{Reply, Served};
use crate::support::{outcome, unisono};
use crate::{command, data_url, embedded, place, served, tiny, vectors};
use serde_json::{Value, json};
use std::fs;

#[test]
fn embeddings_are_bitwise_those_of_embed() {
    let s = served();
    let post = |input: Value| {
        s.post("/v1/embeddings", &json!({"input": input, "encoding_format": "base64", "model": "model"}))
    };
    let texts = ["a red bus", "un chat", "ein blauer Bus faehrt", "x"];
    let args: Vec<&str> = texts.iter().flat_map(|t| ["--text", *t]).collect();
    assert_eq!(vectors(&post(json!(texts))), embedded(&args, tiny::DIM));
    assert_eq!(vectors(&post(json!("un chat"))), embedded(&["--text", "un chat"], tiny::DIM));
    let images: Vec<String> = (0..3).map(|n| data_url("image/png", &format!("photos/p{n}.png"))).collect();
    assert_eq!(vectors(&post(json!(images))), embedded(&["photos"], tiny::DIM));
    let sound = json!({"type": "input_audio", "input_audio": {"data": data_url("audio/wav", "talks/s1.wav"), "format": "wav"}});
    let heard = embedded(&["talks/s1.wav"], tiny::DIM);
    assert_eq!(vectors(&post(sound)), heard);
    let film = fs::read(place().join("clip.mp4")).unwrap();
    let form =
        s.form("/v1/embeddings", &[("encoding_format", "base64")], &[("clip.mp4", "video/mp4", &film)]);
    assert_eq!(vectors(&form), embedded(&["clip.mp4"], tiny::DIM));
    let wav = fs::read(place().join("talks/s1.wav")).unwrap();
    let form = s.form("/v1/embeddings", &[("encoding_format", "base64")], &[("s1.wav", "audio/wav", &wav)]);
    assert_eq!(vectors(&form), heard);
    // Cut to fewer numbers, and as decimal numbers, which read back the same.
    let cut = json!({"input": texts, "dimensions": 5, "encoding_format": "base64"});
    let few: Vec<&str> = args.iter().copied().chain(["--dims", "5"]).collect();
    assert_eq!(vectors(&s.post("/v1/embeddings", &cut)), embedded(&few, 5));
    let reply = s.post("/v1/embeddings", &json!({"input": "un chat"})).json();
    let numbers = reply["data"][0]["embedding"].as_array().unwrap();
    let bytes: Vec<u8> = numbers.iter().flat_map(|v| (v.as_f64().unwrap() as f32).to_le_bytes()).collect();
    assert_eq!(bytes, embedded(&["--text", "un chat"], tiny::DIM)[0]);
    assert_eq!((&reply["model"], &reply["object"]), (&json!("model"), &json!("list")));
    assert!(reply["usage"]["prompt_tokens"].as_u64().unwrap() > 1);
}

#[test]
fn many_clients_at_once_get_their_own() {
    let s = served();
    let one = |n: usize| {
        let reply =
            s.post("/v1/embeddings", &json!({"input": format!("number {n}"), "encoding_format": "base64"}));
        let bytes = vectors(&reply).swap_remove(0);
        bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect::<Vec<f32>>()
    };
    let alone: Vec<Vec<f32>> = (0..24).map(one).collect();
    let together: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..24).map(|n| scope.spawn(move || one(n))).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    for (a, b) in alone.iter().zip(&together) {
        // In company an embedding may differ by rounding, as in any other batch.
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5));
    }
    let metrics = s.get("/metrics").text();
    assert!(metrics.contains("unisono_requests_total{route=\"/v1/embeddings\",status=\"200\"}"), "{metrics}");
    assert!(metrics.contains("unisono_batches_total{model=\"model\"}"), "{metrics}");
}

#[test]
fn a_search_finds_what_the_command_finds() {
    let s = served();
    let same = |args: &[&str], reply: Reply| {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let all: Vec<&str> = ["search", "--index", "IDX", "--json"].iter().chain(args).copied().collect();
        let (hits, found) = (command(&all)["hits"].clone(), reply.json()["hits"].clone());
        let of = |hits: &Value| -> Vec<(String, f64)> {
            let one = |h: &Value| (h["id"].as_str().unwrap().to_owned(), h["score"].as_f64().unwrap());
            hits.as_array().unwrap().iter().map(one).collect()
        };
        let chances = |hits: &Value| -> Vec<Option<f64>> {
            hits.as_array().unwrap().iter().map(|h| h["chance"].as_f64()).collect()
        };
        for (a, b) in chances(&hits).iter().zip(chances(&found)) {
            let close = a.zip(b).is_some_and(|(a, b)| (a - b).abs() <= 1e-3 * a);
            assert!(close || a.is_none() && b.is_none(), "{hits}\n{found}");
        }
        let (hits, found) = (of(&hits), of(&found));
        assert_eq!(hits.len(), found.len());
        for ((a, x), (b, y)) in hits.iter().zip(&found) {
            assert!(a == b && (x - y).abs() < 1e-6, "{hits:?}\n{found:?}");
        }
    };
    same(&["a red bus", "-k", "5"], s.post("/v1/search", &json!({"query": "a red bus", "k": 5})));
    let only = json!({"query": {"text": "a red bus"}, "modality": ["audio"], "k": 2});
    same(&["a red bus", "-k", "2", "--modality", "audio"], s.post("/v1/search", &only));
    let image = json!({"query": data_url("image/png", "photos/p1.png"), "k": 4});
    same(&["--image", "photos/p1.png", "-k", "4"], s.post("/v1/search", &image));
    let wav = fs::read(place().join("talks/s0.wav")).unwrap();
    let form = s.form("/v1/search", &[("k", "3")], &[("s0.wav", "audio/wav", &wav)]);
    same(&["--audio", "talks/s0.wav", "-k", "3"], form);
    // More like a hit: itself is no news. And less of something.
    let row = s.post("/v1/search", &image).json()["hits"][0]["row"].clone();
    let like = s.post("/v1/search", &json!({"query": {"row": row}, "k": 3})).json();
    assert!(like["hits"].as_array().unwrap().iter().all(|h| h["row"] != row));
    let mixed = json!({"query": ["a red bus", {"text": "un chat", "weight": -0.5}], "k": 4});
    same(&["a red bus", "--not", "un chat", "-k", "4"], s.post("/v1/search", &mixed));
    let not = json!({"query": "a red bus", "not": "un chat", "k": 4});
    same(&["a red bus", "--not", "un chat", "-k", "4"], s.post("/v1/search", &not));
    for (wrong, part) in [
        (json!({"query": ""}), "the query is empty"),
        (json!({"query": []}), "expected 1 to 16 parts"),
        (json!({"query": "a", "k": 0}), "expected 1 to 1000"),
        (json!({"query": "a", "modality": "smell"}), "expected text, image, audio or video"),
        (json!({"query": {"row": 999}}), "no row 999"),
        (json!({"query": "a", "kk": 1}), "unknown field `kk`"),
    ] {
        let reply = s.post("/v1/search", &wrong);
        assert!(reply.status == 400 || reply.status == 404, "{wrong}: {}", reply.text());
        assert!(reply.message().contains(part), "{wrong}: {}", reply.text());
    }
}

#[test]
fn filters_likeness_and_chance_are_those_of_the_command() {
    let s = served();
    let found = |args: &[&str]| -> Vec<Value> {
        let all: Vec<&str> = ["search", "--index", "IDX", "--json"].iter().chain(args).copied().collect();
        command(&all)["hits"].as_array().unwrap().iter().map(|h| h["id"].clone()).collect()
    };
    let asked = |body: Value| -> Vec<Value> {
        let reply = s.post("/v1/search", &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["hits"].as_array().unwrap().iter().map(|h| h["id"].clone()).collect()
    };
    let query = "a red bus";
    let some = found(&[query, "--path", "p0[01].*"]);
    assert!(!some.is_empty());
    assert_eq!(asked(json!({"query": query, "path": "p0[01].*"})), some);
    assert_eq!(asked(json!({"query": query, "path": ["none/*", "p0[01].*"]})), some);
    let form = s.form("/v1/search", &[("query", query), ("path", "p0[01].*"), ("since", "")], &[]).json();
    assert_eq!(form["hits"].as_array().unwrap().len(), some.len());
    for test in ["lang=de", "path~clip", "text!=x"] {
        assert_eq!(asked(json!({"query": query, "where": test})), found(&[query, "--where", test]), "{test}");
    }
    assert!(asked(json!({"query": query, "before": "2001-01-01"})).is_empty());
    assert_eq!(
        asked(json!({"query": query, "since": "2001-01-01"})),
        found(&[query, "--since", "2001-01-01"])
    );
    let id = some[0].as_str().unwrap();
    assert_eq!(asked(json!({"like": id})), found(&["--like", id]));
    assert_eq!(asked(json!({"like": [id], "query": query})), found(&["--like", id, query]));
    assert_eq!(asked(json!({"query": query, "order": "chance"})), found(&[query, "--order", "chance"]));
    let rare = json!({"query": query, "chance": 1e-8});
    let reply = s.post("/v1/search", &rare).json();
    assert!(
        reply["hits"].as_array().unwrap().is_empty() && reply["left_out"].as_u64().unwrap() > 0,
        "{reply}"
    );
    assert_eq!(asked(json!({"query": query, "chance": 1})), found(&[query, "--chance", "1"]));
    for (wrong, part) in [
        (json!({"query": query, "not": "x", "chance": 0.1}), "no chance is known"),
        (json!({"query": query, "path": "a["}), "is no pattern of paths"),
        (json!({"query": query, "where": "year"}), "expected KEY=VALUE"),
        (json!({"query": query, "since": "then"}), "is no moment"),
        (json!({"like": "none"}), "no item \"none\""),
        (json!({"like": 3}), "expected an item's id"),
        (json!({"not": query}), "kept away from"),
    ] {
        let reply = s.post("/v1/search", &wrong);
        assert!(reply.status == 400 || reply.status == 404, "{wrong}: {}", reply.text());
        assert!(reply.message().contains(part), "{wrong}: {}", reply.text());
    }
}

#[test]
fn why_an_image_is_a_hit_is_told_by_its_cells() {
    let s = served();
    let hits = s.post("/v1/search", &json!({"query": "a red bus", "k": 1, "modality": "image"})).json();
    let hit = &hits["hits"][0];
    let told = s.post("/v1/why", &json!({"query": "a red bus", "row": hit["row"]}));
    assert_eq!(told.status, 200, "{}", told.text());
    let told = told.json();
    let worth: Vec<f64> = told["worth"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!((worth.len(), &told["cells"]), (49, &json!(7)));
    assert!(
        worth.iter().any(|v| v.abs() > 1e-6)
            && told["image"].as_str().unwrap().starts_with("data:image/jpeg")
    );
    assert!((told["score"].as_f64().unwrap() - hit["score"].as_f64().unwrap()).abs() < 1e-4);
    let sound = s.post("/v1/search", &json!({"query": "a", "k": 1, "modality": "audio"})).json();
    let refused = s.post("/v1/why", &json!({"query": "a", "row": sound["hits"][0]["row"]}));
    assert!(refused.status == 400 && refused.message().contains("no image"), "{}", refused.text());
    assert_eq!(s.post("/v1/why", &json!({"row": 0})).status, 400);
    assert_eq!(s.post("/v1/why", &json!({"query": "a", "row": 9999})).status, 404);
}

#[test]
fn labels_captions_answers_and_order_are_those_of_the_commands() {
    let s = served();
    let image = data_url("image/png", "photos/p1.png");
    let labels = ["red", "blue bus", "un chat"];
    let reply = s.post("/v1/classify", &json!({"input": image, "labels": labels})).json();
    let told =
        command(&["classify", "--model", "model", "--labels", "labels.txt", "--json", "photos/p1.png"]);
    assert_eq!(reply["data"][0]["labels"], told["files"][0]["guesses"]);
    let reply = s.post("/v1/caption", &json!({"input": [image, image]})).json();
    let told = command(&["caption", "--model", "captions", "--json", "photos/p1.png"]);
    assert_eq!(reply["data"][0]["caption"], told["files"][0]["caption"]);
    assert_eq!(reply["data"][1]["index"], 1);
    let png = fs::read(place().join("photos/p1.png")).unwrap();
    let fields = [("question", "what is it?")];
    let reply = s.form("/v1/ask", &fields, &[("p1.png", "image/png", &png)]).json();
    let told =
        command(&["ask", "--model", "answers", "--json", "--question", "what is it?", "photos/p1.png"]);
    assert_eq!(reply["data"][0]["answer"], told["files"][0]["answer"]);
    let ranked =
        s.post("/v1/ask", &json!({"input": image, "question": "is it?", "answers": ["yes", "no"]})).json();
    assert_eq!(ranked["data"][0]["answers"].as_array().unwrap().len(), 2);
    let documents = ["It is 324 m tall.", "a red bus", "un chat"];
    let wanted =
        json!({"query": "how tall is it?", "documents": documents, "top_n": 2, "return_documents": true});
    let reply = s.post("/v1/rerank", &wanted).json();
    let results = reply["results"].as_array().unwrap();
    assert_eq!((results.len(), &reply["model"]), (2, &json!("pairs")));
    let score = |i: usize| results[i]["relevance_score"].as_f64().unwrap();
    assert!(score(0) >= score(1));
    assert!(results[0]["document"]["text"].is_string());
    // A model that embeds ranks by cosines.
    let reply =
        s.post("/v1/rerank", &json!({"query": "a red bus", "documents": documents, "model": "model"})).json();
    assert_eq!(reply["results"][0]["index"], 1);
    let refused = s.post("/v1/caption", &json!({"input": "a text"}));
    assert!(refused.status == 400 && refused.message().contains("looks at: image"), "{}", refused.text());
    let refused = s.post("/v1/caption", &json!({"input": image, "model": "model"}));
    assert!(refused.message().contains("model cannot caption; it can: embed"), "{}", refused.text());
    let broken = s.post("/v1/caption", &json!({"input": "data:image/png;base64,aGFsbG8="}));
    assert!(
        broken.status == 400 && broken.message().starts_with("input: ") && !broken.message().contains("/tmp"),
        "{}",
        broken.text()
    );
}

#[test]
fn what_is_said_is_what_transcribe_says() {
    let s = served();
    let wav = fs::read(place().join("talks/s1.wav")).unwrap();
    let files = [("s1.wav", "audio/wav", &wav[..])];
    let form = |format: &str| {
        let fields = [("model", "speech"), ("response_format", format), ("language", "de")];
        let reply = s.form("/v1/audio/transcriptions", &fields, &files);
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply
    };
    let args = ["transcribe", "--model", "speech", "--json", "--language", "de", "talks/s1.wav"];
    let told = command(&args)["files"][0].clone();
    assert_eq!(form("json").json()["text"], told["text"]);
    let verbose = form("verbose_json").json();
    assert_eq!((&verbose["text"], &verbose["language"]), (&told["text"], &told["language"]));
    assert!(form("vtt").text().starts_with("WEBVTT"));
    assert!(form("srt").text().starts_with("1\n00:00:00"));
    let fields = [("model", "speech"), ("language", "xx")];
    assert_eq!(s.form("/v1/audio/transcriptions", &fields, &files).status, 400);
    assert!(s.form("/v1/audio/transcriptions", &[], &[]).message().contains("expected a sound or a video"));
}

#[test]
fn scenes_are_a_job() {
    let s = served();
    let film = fs::read(place().join("clip.mp4")).unwrap();
    let fields = [("set", "content.threshold=25"), ("set", "detectors=[\"content\"]")];
    let begun = s.form("/v1/scenes", &fields, &[("clip.mp4", "video/mp4", &film)]);
    assert_eq!(begun.status, 202, "{}", begun.text());
    let place = begun.headers["location"].clone();
    let done = loop {
        let now = s.get(&place).json();
        match now["status"].as_str().unwrap() {
            "waiting" | "running" => std::thread::yield_now(),
            _ => break now,
        }
    };
    assert_eq!(done["status"], "done", "{done}");
    assert_eq!((&done["result"]["shots"], &done["progress"]["share"]), (&json!(1), &json!(1.0)), "{done}");
    assert!(!done["result"]["scenes"].as_array().unwrap().is_empty());
    assert_eq!(s.send("DELETE", &place, &[], b"").status, 204);
    assert_eq!(s.get(&place).status, 404);
    let broken = s.form("/v1/scenes", &[("set", "no.such=1")], &[("clip.mp4", "video/mp4", &film)]);
    assert_eq!(broken.status, 400, "{}", broken.text());
}

#[test]
fn the_document_names_every_route() {
    let s = served();
    let document = s.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 22, "{:?}", paths.keys().collect::<Vec<_>>());
    for (path, methods) in paths {
        let path = path.replace("{row}", "0").replace("{id}", "0");
        for method in methods.as_object().unwrap().keys() {
            let reply = s.send(&method.to_uppercase(), &path, &[("Content-Type", "application/json")], b"{}");
            // Each is there, whatever it says to an empty request.
            assert!(
                reply.status != 405 && !reply.text().contains("there is nothing here"),
                "{method} {path}: {}",
                reply.text()
            );
        }
    }
    assert!(s.get("/").text().contains("<title>Unisono</title>"));
    let models = s.get("/v1/models").json();
    let models = models["data"].as_array().unwrap();
    for (model, ability) in models.iter().zip(["embed", "caption", "ask", "transcribe", "match"]) {
        assert!(model["can"].as_array().unwrap().contains(&json!(ability)), "{model}");
    }
}

#[test]
fn models_are_loaded_on_demand_and_named_as_in_the_store() {
    let add = ["model", "add", "model2", "--as", "towers", "--store", "store"];
    let (code, _, stderr) = outcome(unisono(add).current_dir(place()));
    assert_eq!(code, 0, "{stderr}");
    let store = place().join("store");
    // Room for one and a half.
    let each = served().get("/v1/models").json()["data"][0]["bytes"].as_u64().unwrap();
    let memory = format!("{}B", each * 3 / 2);
    let args = ["--model", "model", "--model", "towers@1", "--memory", &memory];
    let s = Served::start_with(place(), &args, &[("UNISONO_STORE", store.to_str().unwrap())]);
    let loaded = || -> Vec<bool> {
        let models = s.get("/v1/models").json();
        models["data"].as_array().unwrap().iter().map(|m| m["loaded"].as_bool().unwrap()).collect()
    };
    assert_eq!(loaded(), [false, true]);
    let ask = |model: &str| {
        let body = json!({"input": "a red bus", "encoding_format": "base64", "model": model});
        vectors(&s.post("/v1/embeddings", &body))
    };
    let first = ask("model");
    assert_eq!(first, embedded(&["--text", "a red bus"], tiny::DIM));
    assert_eq!(loaded(), [true, false]);
    assert_ne!(ask("towers@1"), first);
    assert_eq!((loaded(), ask("model")), (vec![false, true], first));
    let metrics = s.get("/metrics").text();
    assert!(metrics.contains("unisono_model_loads_total{model=\"towers@1\"} 2"), "{metrics}");
    // A model that was changed meanwhile is not taken for what it was.
    ask("model");
    let config = store.join("towers/1/config.json");
    fs::write(&config, fs::read_to_string(&config).unwrap() + "\n").unwrap();
    let reply = s.post("/v1/embeddings", &json!({"input": "a", "model": "towers@1"}));
    assert!(reply.status == 500 && reply.message().contains("start it again"), "{}", reply.text());
    assert_eq!(ask("model").len(), 1);
    assert_eq!(s.end(), Some(0));
    let (code, _, stderr) = outcome(
        unisono(["serve", "--model", "model", "--memory", "1K", "--addr", "127.0.0.1:0"])
            .current_dir(place()),
    );
    assert!(code == 1 && stderr.contains("give --memory more") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn an_index_that_changes_is_searched_as_it_is_then() {
    let dir = place().join("growing");
    fs::create_dir_all(dir.join("in")).unwrap();
    tiny::image(&dir.join("in/a.png"), 5);
    let run = |args: &[&str]| {
        let (code, _, stderr) = outcome(unisono(args).current_dir(place()));
        assert_eq!(code, 0, "{stderr}");
    };
    run(&["index", "build", "--model", "model", "--out", "growing/IDX", "growing/in"]);
    let s = Served::start(place(), &["--index", "growing/IDX"]);
    let count = || s.get("/v1/index").json()["count"].as_u64().unwrap();
    let until = |wanted: &dyn Fn() -> bool| {
        while !wanted() {
            std::thread::yield_now();
        }
    };
    assert_eq!(count(), 1);
    tiny::image(&dir.join("in/b.png"), 90);
    run(&["index", "add", "growing/IDX", "growing/in"]);
    until(&|| count() == 2);
    let found = s.post("/v1/search", &json!({"query": "a red bus"})).json();
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
    // Another model's index in its place: its queries go through that model.
    run(&["index", "build", "--model", "model2", "--out", "growing/IDX", "growing/in"]);
    until(&|| s.get("/v1/index").json()["model"] == "model2 (queries)");
    let found = s.post("/v1/search", &json!({"query": "a red bus"})).json();
    let told = command(&["search", "--index", "growing/IDX", "a red bus", "--json"]);
    for (a, b) in found["hits"].as_array().unwrap().iter().zip(told["hits"].as_array().unwrap()) {
        assert_eq!(a["id"], b["id"]);
        assert!((a["score"].as_f64().unwrap() - b["score"].as_f64().unwrap()).abs() < 1e-6);
    }
    // What cannot be read is said, and the one before goes on.
    fs::write(dir.join("IDX/index.json"), "{").unwrap();
    until(&|| !s.get("/v1/index").json()["not_taken"].is_null());
    assert_eq!(
        s.post("/v1/search", &json!({"query": "a red bus"})).json()["hits"].as_array().unwrap().len(),
        2
    );
    assert_eq!(s.end(), Some(0));
}
