//! HangingFile: a file whose readers hang until it is released, as those of a process in /proc that waits for
//! a dead file system.
//!
//! It is a file system of that one file (FUSE), whose server, a thread here, lets reads wait. Only the calling
//! thread and what it starts see it: others that look at all mounts would hang as well.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// Numbers of requests, from linux/fuse.h.
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const INIT: u32 = 26;
const FORGET: u32 = 2;
/// Reads are asked of the server each time, whatever the file's size is said to be.
const DIRECT_IO: u32 = 1;
const ENOSYS: i32 = 38;

/// A file at some path, until it is dropped.
pub struct HangingFile {
    path: std::path::PathBuf,
    server: File,
    waiting: Arc<Mutex<Waiting>>,
}

/// What the server has to tell.
struct Waiting {
    /// The content, once it may be read.
    content: Option<Vec<u8>>,
    /// Reads that wait for it, by their numbers.
    reads: Vec<u64>,
}

impl HangingFile {
    /// In place of a file that is there.
    pub fn over(path: &Path) -> Self {
        unshare(CloneFlags::CLONE_NEWNS).expect("root");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("root");
        let server = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("FUSE");
        let options = format!("fd={},rootmode=100444,user_id=0,group_id=0", server.as_raw_fd());
        mount(Some("hanging"), path, Some("fuse"), MsFlags::empty(), Some(options.as_str()))
            .expect("root may mount");
        let waiting = Arc::new(Mutex::new(Waiting { content: None, reads: Vec::new() }));
        let (requests, answers) = (server.try_clone().unwrap(), Arc::clone(&waiting));
        std::thread::spawn(move || serve(requests, &answers));
        Self { path: path.to_owned(), server, waiting }
    }

    /// How many reads wait.
    pub fn readers(&self) -> usize {
        self.waiting.lock().unwrap().reads.len()
    }

    /// Lets it be read, by those who wait and from now on.
    pub fn release(&self, content: &[u8]) {
        let mut waiting = self.waiting.lock().unwrap();
        for read in waiting.reads.drain(..) {
            answer(&self.server, read, 0, content);
        }
        waiting.content = Some(content.to_vec());
    }
}

impl Drop for HangingFile {
    fn drop(&mut self) {
        // Who still waits gets an error, and the thread that serves as well.
        umount2(&self.path, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH).ok();
    }
}

fn serve(mut requests: File, waiting: &Mutex<Waiting>) {
    let mut request = vec![0; 1 << 17];
    while let Ok(length) = requests.read(&mut request) {
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        let number = u64::from_ne_bytes(request[8..16].try_into().unwrap());
        assert!(length >= 40, "a request has a header");
        match word(4) {
            INIT => {
                let mut said = Vec::new();
                said.extend([7_u32, 31, 65_536, 0].map(u32::to_ne_bytes).as_flattened());
                // No background requests; 64 KiB at most are written at once, a nanosecond is told apart.
                said.extend([0_u32, 65_536, 1].map(u32::to_ne_bytes).as_flattened());
                said.resize(64, 0);
                answer(&requests, number, 0, &said);
            }
            GETATTR => {
                // Valid for how long, then inode, size, blocks, times, and a mode and a number of links.
                let mut said = vec![0; 16 + 88];
                said[16..24].copy_from_slice(&1_u64.to_ne_bytes());
                said[16 + 60..16 + 64].copy_from_slice(&0o100_444_u32.to_ne_bytes());
                said[16 + 64..16 + 68].copy_from_slice(&1_u32.to_ne_bytes());
                answer(&requests, number, 0, &said);
            }
            OPEN => {
                let said = [0, 0, DIRECT_IO, 0].map(u32::to_ne_bytes);
                answer(&requests, number, 0, said.as_flattened());
            }
            READ => {
                let mut waiting = waiting.lock().unwrap();
                match &waiting.content {
                    Some(content) => answer(&requests, number, 0, content),
                    None => waiting.reads.push(number),
                }
            }
            FORGET => {}
            _ => answer(&requests, number, -ENOSYS, &[]),
        }
    }
}

/// A reader that has gone wants no answer.
fn answer(mut server: &File, number: u64, error: i32, said: &[u8]) {
    let mut bytes = Vec::from((16 + said.len() as u32).to_ne_bytes());
    bytes.extend(error.to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend(said);
    server.write_all(&bytes).ok();
}
