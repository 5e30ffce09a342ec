//! Storage that keeps whoever reads waiting, for tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::Files;

/// A bucket in which every request waits until it is let go, and reads one and the same content then.
pub(super) struct Held {
    pub(super) files: Files,
    asked: mpsc::UnboundedReceiver<()>,
    go: std::sync::mpsc::Sender<()>,
}

impl Held {
    pub(super) fn with(content: &[u8]) -> Held {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let variables = [
            ("AWS_ENDPOINT_URL", format!("http://{}", listener.local_addr().unwrap())),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let files = Files::in_bucket(&"s3://test".parse().unwrap(), variables).unwrap();
        let (ask, asked) = mpsc::unbounded_channel();
        let (go, may_go) = std::sync::mpsc::channel();
        let (content, may_go) = (content.to_vec(), Arc::new(Mutex::new(may_go)));
        // A thread that ends with the program.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (ask, content, may_go) = (ask.clone(), content.clone(), may_go.clone());
                std::thread::spawn(move || {
                    let request = || -> std::io::Result<()> {
                        let mut stream = stream?;
                        read_head(&stream)?;
                        let _nobody_waits = ask.send(());
                        let _end_of_test = may_go.lock().unwrap().recv();
                        stream.write_all(&answer(&content))
                    };
                    let _client_is_gone = request();
                });
            }
        });
        Held { files, asked, go }
    }

    /// Waits until something is asked.
    pub(super) async fn is_asked(&mut self) {
        self.asked.recv().await.unwrap();
    }

    /// Lets one request go.
    pub(super) fn let_go(&self) {
        self.go.send(()).unwrap();
    }

    /// Lets all requests go.
    pub(super) fn let_go_all(self) {
        drop(self.go);
    }
}

fn read_head(stream: &TcpStream) -> std::io::Result<()> {
    let lines = BufReader::new(stream).lines();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    Ok(())
}

fn answer(content: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"x\"\r\n\
         Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\n\r\n",
        content.len()
    );
    [head.as_bytes(), content].concat()
}
