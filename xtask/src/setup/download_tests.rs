//! Against a package index on this machine that breaks off, forgets ranges or lies.

use super::*;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How the index serves its one file.
#[derive(Clone, Copy, Default)]
struct Manners {
    /// The first answer ends after this many bytes of the file.
    cut_first: Option<usize>,
    /// `Range` is passed over: always the whole file.
    no_ranges: bool,
    /// The index's page lists no file.
    empty: bool,
    /// The file's address answers 404.
    gone: bool,
    /// The page gives the file's digest.
    digest: bool,
}

struct Index {
    options: Vec<String>,
    /// The byte at which each request for the file began.
    starts: Arc<Mutex<Vec<usize>>>,
}

fn content() -> Vec<u8> {
    (0..200_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn sha256(bytes: &[u8]) -> &'static str {
    Box::leak(hex(&Sha256::digest(bytes)).into_boxed_str())
}

fn serve(manners: Manners) -> Index {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&starts);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(std::io::Result::ok) {
            // The client may hang up at any time.
            drop(answer(stream, manners, &seen));
        }
    });
    let options = vec!["--isolated".to_owned(), format!("--index-url=http://{address}/simple")];
    Index { options, starts }
}

fn answer(stream: TcpStream, manners: Manners, seen: &Mutex<Vec<usize>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut range = 0;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(start) = line.strip_prefix("range: bytes=").and_then(|rest| rest.strip_suffix('-')) {
            range = start.parse().unwrap();
        }
    }
    let (status, kind, extra, body, length);
    if !request.contains(".whl") {
        let digest = if manners.digest { format!("#sha256={}", sha256(&content())) } else { String::new() };
        let link = format!("<a href=\"/tiny-1.0-py3-none-any.whl{digest}\">tiny-1.0-py3-none-any.whl</a>");
        let page =
            format!("<!DOCTYPE html><html><body>{}</body></html>", if manners.empty { "" } else { &link });
        (status, kind, extra) = ("200 OK", "text/html", String::new());
        body = page.into_bytes();
        length = body.len();
    } else if manners.gone {
        (status, kind, extra, body, length) = ("404 Not Found", "text/plain", String::new(), Vec::new(), 0);
    } else {
        let first = seen.lock().unwrap().is_empty();
        seen.lock().unwrap().push(range);
        let whole = content();
        let from = if manners.no_ranges { 0 } else { range };
        kind = "application/octet-stream";
        if from >= whole.len() {
            (status, extra, body, length) = (
                "416 Range Not Satisfiable",
                format!("Content-Range: bytes */{}\r\n", whole.len()),
                Vec::new(),
                0,
            );
        } else {
            status = if from > 0 { "206 Partial Content" } else { "200 OK" };
            extra = if from > 0 {
                format!("Content-Range: bytes {from}-{}/{}\r\n", whole.len() - 1, whole.len())
            } else {
                String::new()
            };
            length = whole.len() - from;
            let end = if first { manners.cut_first.unwrap_or(whole.len()) } else { whole.len() };
            body = whole[from..end].to_vec();
        }
    }
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{extra}Connection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}

fn fetch(index: &Index, folder: &Path, sha256: &'static str) -> Result<PathBuf> {
    let python = crate::setup::origin::python().unwrap();
    // A proxy of the developer's would not reach this machine's own address.
    let variables = [("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")];
    let options = &index.options;
    let source = Source { python: &python, tags: &["any"], folder, options, variables: &variables, pause: 0 };
    source.fetch(&Wheel { name: "tiny", version: "1.0", sha256, size: 200_000 }, "tiny")
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn part(folder: &Path) -> PathBuf {
    folder.join(format!("tiny-1.0-{}.whl.part", std::env::consts::ARCH))
}

#[test]
fn a_broken_connection_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let index = serve(Manners { cut_first: Some(70_000), ..Manners::default() });
    let file = fetch(&index, folder.path(), sha256(&content())).unwrap();
    assert_eq!(fs::read(&file).unwrap(), content());
    assert_eq!(*index.starts.lock().unwrap(), [0, 70_000]);
    assert_eq!(names(folder.path()).len(), 1, "no part is left");
    // A second call asks nobody.
    fetch(&index, folder.path(), sha256(&content())).unwrap();
    assert_eq!(index.starts.lock().unwrap().len(), 2);
}

#[test]
fn a_part_of_an_earlier_run_is_used() {
    let folder = tempfile::tempdir().unwrap();
    for there in [123_456, 200_000] {
        fs::write(part(folder.path()), &content()[..there]).unwrap();
        let index = serve(Manners::default());
        let file = fetch(&index, folder.path(), sha256(&content())).unwrap();
        assert_eq!(fs::read(&file).unwrap(), content());
        assert_eq!(*index.starts.lock().unwrap(), [there]);
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_server_without_ranges_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(part(folder.path()), &content()[..5]).unwrap();
    let index = serve(Manners { no_ranges: true, ..Manners::default() });
    assert_eq!(fs::read(fetch(&index, folder.path(), sha256(&content())).unwrap()).unwrap(), content());
}

#[test]
fn a_part_of_another_file_is_fetched_anew() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(part(folder.path()), vec![0; 1000]).unwrap();
    let index = serve(Manners::default());
    assert_eq!(fs::read(fetch(&index, folder.path(), sha256(&content())).unwrap()).unwrap(), content());
    assert_eq!(*index.starts.lock().unwrap(), [1000, 0]);
}

#[test]
fn another_checksum_is_refused_and_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let index = serve(Manners::default());
    let error = fetch(&index, folder.path(), sha256(b"another")).unwrap_err().to_string();
    assert!(error.contains("tiny 1.0: sha256 is") && error.contains("refused"), "{error}");
    assert!(names(folder.path()).is_empty());
    // Listed in the index: refused before a byte is fetched.
    let index = serve(Manners { digest: true, ..Manners::default() });
    let error = fetch(&index, folder.path(), sha256(b"another")).unwrap_err().to_string();
    assert!(error.contains("as the index lists it"), "{error}");
    assert!(index.starts.lock().unwrap().is_empty());
}

#[test]
fn without_a_pin_the_indexs_digest_decides() {
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&serve(Manners::default()), folder.path(), "").unwrap_err().to_string();
    assert!(error.contains("no sha256 is known"), "{error}");
    let file = fetch(&serve(Manners { digest: true, ..Manners::default() }), folder.path(), "").unwrap();
    assert_eq!(fs::read(file).unwrap(), content());
}

#[test]
fn what_the_index_lacks_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for manners in
        [Manners { empty: true, ..Manners::default() }, Manners { gone: true, ..Manners::default() }]
    {
        let error = fetch(&serve(manners), folder.path(), sha256(&content())).unwrap_err().to_string();
        assert!(error.contains("package index holds no tiny 1.0"), "{error}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn an_index_that_does_not_answer_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    // Bound and dropped: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options =
        ["--isolated".to_owned(), "--retries=0".to_owned(), format!("--index-url=http://{address}/simple")];
    let index = Index { options: options.to_vec(), starts: Arc::default() };
    let error = fetch(&index, folder.path(), sha256(&content())).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot download tiny 1.0: http://") && error.contains("refused; check"),
        "{error}"
    );
    assert!(!error.contains('\n') && !error.contains("object at"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", part(folder.path())).unwrap();
    let error = fetch(&serve(Manners::default()), folder.path(), sha256(&content())).unwrap_err().to_string();
    assert!(error.contains("no space left while downloading tiny 1.0"), "{error}");
}
