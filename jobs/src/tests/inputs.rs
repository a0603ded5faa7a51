use super::*;
use Modality::{Audio, Image, Text};
use std::fs;

const ALL: [Modality; 3] = [Text, Image, Audio];

fn tree(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    dir
}

fn of(path: &Path) -> Inputs {
    Inputs { paths: vec![path.to_owned()], ..Inputs::default() }
}

fn below(listing: &Listing, dir: &Path) -> Vec<(String, Modality)> {
    let short = |i: &Item| i.blob.as_ref().unwrap().name().strip_prefix(dir).unwrap().display().to_string();
    listing.items.iter().map(|i| (short(&i), i.modality)).collect()
}

#[test]
fn folders_are_walked_in_order_without_what_is_hidden() {
    let dir =
        tree(&["b/2.PNG", "b/1.wav", "a.jpg", "c.txt", ".hidden.png", ".git/x.png", "b/.y.ogg", "z/10.svg"]);
    let listing = of(dir.path()).list(&ALL).unwrap();
    let want = [("a.jpg", Image), ("b/1.wav", Audio), ("b/2.PNG", Image), ("z/10.svg", Image)];
    assert_eq!(below(&listing, dir.path()), want.map(|(p, m)| (p.to_owned(), m)));
    assert_eq!((listing.left_out.count, listing.skipped.len()), (1, 0));
    assert!(listing.items.iter().all(|i| Path::new(&i.id).is_absolute()));
    let audios = of(dir.path()).list(&[Audio]).unwrap();
    assert_eq!((below(&audios, dir.path()).len(), audios.left_out.count), (1, 4));
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_never_in_circles() {
    use std::os::unix::fs::symlink;
    let dir = tree(&["real/1.png", "other/2.png"]);
    let at = |p: &str| dir.path().join(p);
    symlink(dir.path(), at("real/up")).unwrap();
    symlink(at("real"), at("other/again")).unwrap();
    symlink(at("other"), at("real/across")).unwrap();
    symlink(at("nowhere"), at("dangling.png")).unwrap();
    let listing = of(dir.path()).list(&ALL).unwrap();
    let names: Vec<String> = below(&listing, dir.path()).into_iter().map(|(p, _)| p).collect();
    assert_eq!(names, ["other/2.png", "other/again/1.png"]);
    assert_eq!(listing.skipped.len(), 1);
    assert!(listing.skipped[0].id.ends_with("dangling.png"), "{listing:?}");
}

#[test]
fn a_file_given_by_itself_is_told_by_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture.bin");
    fs::write(&path, b"\x89PNG\r\n\x1a\n").unwrap();
    assert_eq!(of(&path).list(&ALL).unwrap().items.get(0).unwrap().modality, Image);
    assert!(of(&path).list(&[Text]).unwrap().skipped[0].reason.contains("embedded are: text"));
    fs::write(&path, b"some words").unwrap();
    assert!(of(&path).list(&ALL).unwrap().skipped[0].reason.contains("neither an image nor an audio file"));
    let gone = of(&dir.path().join("gone.png")).list(&ALL).unwrap_err().to_string();
    assert!(gone.contains("gone.png: cannot read"), "{gone}");
}

#[test]
fn records_give_images_audios_texts() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("m.jsonl");
    fs::write(
        &manifest,
        concat!(
            r#"{"id":"cat","text":["a cat","kitty"],"image":"cat.png","audio":["1.ogg","2.ogg"],"label":"cat","split":"test","lang":"en"}"#,
            "\n",
            r#"{"id":"dog","text":"a dog","split":"train"}"#,
        ),
    )
    .unwrap();
    let inputs = Inputs { source: Some(manifest.into()), split: Some("test".into()), ..Inputs::default() };
    let items: Vec<Item> = inputs.list(&ALL).unwrap().items.iter().collect();
    let kinds: Vec<_> = items.iter().map(|i| (i.modality, i.part)).collect();
    assert_eq!(kinds, [(Image, 0), (Audio, 0), (Audio, 1), (Text, 0), (Text, 1)]);
    assert_eq!(items[0].blob, Some(dir.path().join("cat.png").into()));
    assert_eq!((items[0].text.as_deref(), items[4].text.as_deref()), (Some("a cat"), Some("kitty")));
    assert!(items.iter().all(|i| i.id == "cat" && i.key() == "cat"));
    let none = Inputs { split: Some("tset".into()), ..inputs.clone() }.list(&ALL).unwrap_err().to_string();
    assert!(none.contains("\"tset\"; it has: test (1), train (1)"), "{none}");
    let lacking = Inputs { modalities: vec![Audio], ..inputs }.list(&[Text]).unwrap_err().to_string();
    assert!(lacking.contains("no audio tower; it has: text"), "{lacking}");
}

#[test]
fn what_is_passed_over_is_counted_by_kind() {
    let dir = tree(&["a.png", "b.PSD", "c.psd", "d.txt", "README", "e.not an ending", ".hidden.txt"]);
    let listing = of(dir.path()).list(&[Image]).unwrap();
    assert_eq!((listing.items.len(), listing.left_out.count), (1, 5));
    let line = listing.left_out.line().unwrap();
    assert_eq!(line, "5 other files: 2 .psd, 2 without an ending, 1 .txt");
    assert_eq!(LeftOut::default().line(), None);
    #[cfg(unix)]
    {
        let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe.png")).status().unwrap();
        assert!(made.success());
        let listing = of(dir.path()).list(&[Image]).unwrap();
        assert_eq!((listing.items.len(), listing.left_out.kinds["pipe or device"]), (1, 1));
    }
}

#[test]
fn nothing_to_embed_is_said() {
    let dir = tree(&["a.txt", "b.md"]);
    let e = of(dir.path()).list(&[Image]).unwrap_err().to_string();
    assert!(e.contains("no image (2 other files: 1 .md, 1 .txt)"), "{e}");
    assert!(Inputs::default().list(&ALL).is_err());
}
