//! Serving: a site in memory, to browsers on this machine alone.
//!
//! It listens on the loopback address, and answers only to the names of it: a page of another site that points a name of
//! its own at this address gets nothing. It has the files of the site and no others, so no path leads anywhere else.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::error::{Error, Result};

/// The port that is tried first.
const PORT: u16 = 8580;
/// Bytes of a request's head at most.
const HEAD: u64 = 16 * 1024;
/// How long a browser may take to say what it wants, and to take it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests at one time at most.
const AT_ONCE: usize = 64;

/// Files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A site, and how often it was made.
#[derive(Debug, Default)]
pub struct Site {
    /// What a page asks for to know whether it is old.
    pub version: String,
    /// Its files.
    pub files: Files,
}

/// A server of one site.
pub struct Server {
    listener: TcpListener,
    port: u16,
    site: RwLock<Arc<Site>>,
    busy: AtomicUsize,
}

impl Server {
    /// Takes a port: the one that is asked for, else the usual one, else any that is free.
    ///
    /// # Errors
    /// The port is taken.
    pub fn bind(port: Option<u16>) -> Result<Self> {
        let on = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let listener = match port {
            Some(port) => on(port).map_err(|error| {
                Error::machine(format!("cannot listen on port {port}: {error}"))
                    .hint("leave out `--port` to get one that is free")
            })?,
            None => on(PORT)
                .or_else(|_| on(0))
                .map_err(|error| Error::machine(format!("cannot listen on 127.0.0.1: {error}")))?,
        };
        let port = listener
            .local_addr()
            .map_err(|error| Error::machine(format!("cannot listen on 127.0.0.1: {error}")))?
            .port();
        Ok(Self { listener, port, site: RwLock::default(), busy: AtomicUsize::new(0) })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Shows another site from now on.
    pub fn show(&self, site: Site) {
        *self.site.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(site);
    }

    /// Answers until the process ends.
    pub fn run(self: &Arc<Self>) {
        for stream in self.listener.incoming() {
            // A browser that went away before it was answered.
            let Ok(stream) = stream else { continue };
            if self.busy.fetch_add(1, Ordering::Relaxed) >= AT_ONCE {
                self.busy.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let server = Arc::clone(self);
            std::thread::spawn(move || {
                // Whoever does not listen to the end need not be told.
                let _ = server.answer(&stream);
                server.busy.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    fn answer(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let answer = match Request::read(stream) {
            Some(request) => self.reply(&request),
            None => Answer::text(400, "this is no request that a browser sends"),
        };
        answer.write(stream)
    }

    fn reply(&self, request: &Request) -> Answer {
        if !self.is_own(&request.host) {
            return Answer::text(403, "this site is served to this machine only, under its own name");
        }
        if request.method != "GET" && request.method != "HEAD" {
            return Answer { allow: true, ..Answer::text(405, "there is only something to read here") };
        }
        let body = if request.method == "HEAD" { Body::Left } else { Body::Sent };
        let site = Arc::clone(&self.site.read().unwrap_or_else(PoisonError::into_inner));
        let Some(mut path) = decoded(&request.path) else {
            return Answer { body, ..Answer::text(404, "there is no such page") };
        };
        if path == "version" {
            return Answer { body, ..Answer::text(200, &site.version) };
        }
        if path.is_empty() || path.ends_with('/') {
            path.push_str("index.html");
        }
        match site.files.get(&path) {
            Some(content) => {
                Answer { status: 200, kind: kind(&path), content: content.clone(), body, allow: false }
            }
            None => Answer { body, ..Answer::text(404, "there is no such page") },
        }
    }

    /// Whether a `Host` is a name of this machine's loopback with this port.
    fn is_own(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        port == Some(self.port) && ["127.0.0.1", "localhost"].iter().any(|own| name.eq_ignore_ascii_case(own))
    }
}

/// What a browser asks for.
struct Request {
    method: String,
    path: String,
    host: String,
}

impl Request {
    /// Reads the head of a request. `None` for what is none.
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream.take(HEAD)).lines();
        let first = lines.next()?.ok()?;
        let mut words = first.split(' ');
        let (method, path, protocol) = (words.next()?, words.next()?, words.next()?);
        if !protocol.starts_with("HTTP/1.") || words.next().is_some() {
            return None;
        }
        let mut host = None;
        loop {
            let line = lines.next()?.ok()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            if name.eq_ignore_ascii_case("host") && host.replace(value.trim().to_owned()).is_some() {
                return None;
            }
        }
        Some(Self { method: method.to_owned(), path: path.to_owned(), host: host? })
    }
}

/// The path of a file that an address names; `None` where it tries to lead somewhere else.
fn decoded(path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next()?.strip_prefix('/')?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    let path = String::from_utf8(bytes).ok()?;
    let leads_out = |part: &str| part == ".." || part == ".";
    (!path.split('/').any(leads_out) && !path.contains(['\\', '\0'])).then_some(path)
}

/// The type of a file by its ending.
fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

/// Whether the content is sent, or only spoken of.
#[derive(Clone, Copy, PartialEq)]
enum Body {
    Sent,
    Left,
}

struct Answer {
    status: u16,
    kind: &'static str,
    content: Vec<u8>,
    body: Body,
    allow: bool,
}

impl Answer {
    fn text(status: u16, text: &str) -> Self {
        let content = format!("{text}\n").into_bytes();
        Self { status, kind: "text/plain; charset=utf-8", content, body: Body::Sent, allow: false }
    }

    fn write(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            _ => "Method Not Allowed",
        };
        let head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n{}\
             Connection: close\r\n\r\n",
            self.status,
            self.kind,
            self.content.len(),
            if self.allow { "Allow: GET, HEAD\r\n" } else { "" },
        );
        stream.write_all(head.as_bytes())?;
        if self.body == Body::Sent {
            stream.write_all(&self.content)?;
        }
        stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served() -> Arc<Server> {
        let server = Arc::new(Server::bind(Some(0)).unwrap());
        let files = [("index.html", "<h1>x"), ("m/a b.html", "spaced"), ("assets/app.js", "1")];
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        server.show(Site { version: "7".into(), files });
        let running = Arc::clone(&server);
        std::thread::spawn(move || running.run());
        server
    }

    /// The status line, the type, and the content.
    fn ask(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let request = request.replace("PORT", &server.port.to_string());
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        let kind = head.lines().find(|line| line.starts_with("Content-Type")).unwrap();
        format!("{} | {kind} | {}", head.lines().next().unwrap(), content.trim_end())
    }

    #[test]
    fn the_site_is_served_and_nothing_else() {
        let server = served();
        let get = |path: &str| ask(&server, &format!("GET {path} HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n"));
        let paths = [
            "/",
            "/index.html?x=1",
            "/m/a%20b.html",
            "/assets/app.js",
            "/version",
            "/nothing",
            "/../Cargo.toml",
            "/m/../../Cargo.toml",
            "/%2e%2e/Cargo.toml",
            "/m/%2e%2e%2findex.html",
            "/..%5cCargo.toml",
            "//index.html",
            "/%zz",
            "/%",
        ];
        let answers: Vec<String> = paths.iter().map(|path| format!("{path} → {}", get(path))).collect();
        insta::assert_snapshot!(answers.join("\n"), @"
        / → HTTP/1.1 200 OK | Content-Type: text/html; charset=utf-8 | <h1>x
        /index.html?x=1 → HTTP/1.1 200 OK | Content-Type: text/html; charset=utf-8 | <h1>x
        /m/a%20b.html → HTTP/1.1 200 OK | Content-Type: text/html; charset=utf-8 | spaced
        /assets/app.js → HTTP/1.1 200 OK | Content-Type: text/javascript; charset=utf-8 | 1
        /version → HTTP/1.1 200 OK | Content-Type: text/plain; charset=utf-8 | 7
        /nothing → HTTP/1.1 404 Not Found | Content-Type: text/plain; charset=utf-8 | there is no such page
        /../Cargo.toml → HTTP/1.1 404 Not Found | Content-Type: text/plain; charset=utf-8 | there is no such page
        /m/../../Cargo.toml → HTTP/1.1 404 Not Found | Content-Type: text/plain; charset=utf-8 | there is no such page
        /%2e%2e/Cargo.toml → HTTP/1.1 404 Not Found | Content-Type: text/plain; charset=utf-8 | there is no such page
        /m/%2e%2e%2findex.html → HTTP/1.1 404 Not Found | Content-Type: text/plain; charset=utf-8 | there is no such page
        /..%5cCargo.toml → HTTP/1.1 404 Not Found | Content-Type: text/plain; charset=utf-8 | there is no such page
        //index.html → HTTP/1.1 404 Not Found | Content-Type: text/plain; charset=utf-8 | there is no such page
        /%zz → HTTP/1.1 404 Not Found | Content-Type: text/plain; charset=utf-8 | there is no such page
        /% → HTTP/1.1 404 Not Found | Content-Type: text/plain; charset=utf-8 | there is no such page
        ");
    }

    #[test]
    fn other_names_methods_and_nonsense_are_refused() {
        let server = served();
        let requests = [
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: evil.example.com:PORT\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost:PORT\r\nHost: evil.example.com\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n",
            "hello\r\n\r\n",
        ];
        let answers: Vec<String> = requests.iter().map(|request| ask(&server, request)).collect();
        insta::assert_snapshot!(answers.join("\n"), @"
        HTTP/1.1 200 OK | Content-Type: text/html; charset=utf-8 | <h1>x
        HTTP/1.1 403 Forbidden | Content-Type: text/plain; charset=utf-8 | this site is served to this machine only, under its own name
        HTTP/1.1 403 Forbidden | Content-Type: text/plain; charset=utf-8 | this site is served to this machine only, under its own name
        HTTP/1.1 403 Forbidden | Content-Type: text/plain; charset=utf-8 | this site is served to this machine only, under its own name
        HTTP/1.1 400 Bad Request | Content-Type: text/plain; charset=utf-8 | this is no request that a browser sends
        HTTP/1.1 400 Bad Request | Content-Type: text/plain; charset=utf-8 | this is no request that a browser sends
        HTTP/1.1 200 OK | Content-Type: text/html; charset=utf-8 | 
        HTTP/1.1 405 Method Not Allowed | Content-Type: text/plain; charset=utf-8 | there is only something to read here
        HTTP/1.1 400 Bad Request | Content-Type: text/plain; charset=utf-8 | this is no request that a browser sends
        ");
    }
}
