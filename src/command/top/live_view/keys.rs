//! Keys: what the bytes of a terminal mean.

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Return.
    Enter,
    /// Escape.
    Escape,
    /// Tab, also with shift.
    Tab,
    /// Backspace.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
    /// Ctrl-C, or Ctrl-D.
    Interrupt,
    /// Ctrl-Z.
    Suspend,
}

const ESC: u8 = 0x1b;
/// More bytes than any key sends.
const LONGEST: usize = 16;

/// Makes keys of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    waiting: Vec<u8>,
}

impl Decoder {
    /// Takes in bytes; returns the keys that are complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.waiting.extend_from_slice(bytes);
        let mut keys = Vec::new();
        loop {
            let (key, used) = match first(&self.waiting) {
                DecodedKey::Key(key, used) => (Some(key), used),
                DecodedKey::Nothing(used) => (None, used),
                DecodedKey::Incomplete => break,
            };
            keys.extend(key);
            self.waiting.drain(..used.min(self.waiting.len()));
        }
        keys
    }

    /// Whether more bytes may follow at once: an arrow begins as the key Escape does.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Nothing followed: a lone Escape was that key.
    pub fn flush(&mut self) -> Option<Key> {
        let was = std::mem::take(&mut self.waiting);
        (was.as_slice() == [ESC]).then_some(Key::Escape)
    }
}

enum DecodedKey {
    /// A key of so many bytes.
    Key(Key, usize),
    /// So many bytes that are no key of ours.
    Nothing(usize),
    Incomplete,
}

fn first(bytes: &[u8]) -> DecodedKey {
    match bytes {
        [] | [ESC] => DecodedKey::Incomplete,
        [ESC, b'[' | b'O', rest @ ..] => sequence(rest),
        // Alt and a character; two escapes are one.
        [ESC, ..] => DecodedKey::Key(Key::Escape, 1),
        [b'\r' | b'\n', ..] => DecodedKey::Key(Key::Enter, 1),
        [b'\t', ..] => DecodedKey::Key(Key::Tab, 1),
        [0x7f | 0x08, ..] => DecodedKey::Key(Key::Backspace, 1),
        [0x03 | 0x04, ..] => DecodedKey::Key(Key::Interrupt, 1),
        [0x1a, ..] => DecodedKey::Key(Key::Suspend, 1),
        [byte, ..] if byte.is_ascii_control() => DecodedKey::Nothing(1),
        [byte, ..] if byte.is_ascii() => DecodedKey::Key(Key::Char(char::from(*byte)), 1),
        _ => character(bytes),
    }
}

/// What follows `ESC [` or `ESC O`.
fn sequence(rest: &[u8]) -> DecodedKey {
    let Some(at) = rest.iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
        return if rest.len() > LONGEST {
            DecodedKey::Nothing(rest.len())
        } else {
            DecodedKey::Incomplete
        };
    };
    let number: Vec<u8> =
        rest.iter().copied().take(at).take_while(|byte| byte.is_ascii_digit()).collect();
    let key = match (rest.get(at), number.as_slice()) {
        (Some(b'A'), _) => Key::Up,
        (Some(b'B'), _) => Key::Down,
        (Some(b'C'), _) => Key::Right,
        (Some(b'D'), _) => Key::Left,
        (Some(b'H'), _) | (Some(b'~'), b"1" | b"7") => Key::Home,
        (Some(b'F'), _) | (Some(b'~'), b"4" | b"8") => Key::End,
        (Some(b'Z'), _) => Key::Tab,
        (Some(b'~'), b"5") => Key::PageUp,
        (Some(b'~'), b"6") => Key::PageDown,
        _ => return DecodedKey::Nothing(at + 3),
    };
    DecodedKey::Key(key, at + 3)
}

fn character(bytes: &[u8]) -> DecodedKey {
    let chunk = bytes.utf8_chunks().next();
    match chunk.map(|chunk| (chunk.valid().chars().next(), chunk.invalid().len())) {
        Some((Some(c), _)) => DecodedKey::Key(Key::Char(c), c.len_utf8()),
        // It may be the beginning of a character.
        Some((None, _))
            if bytes.len() < 4
                && std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none()) =>
        {
            DecodedKey::Incomplete
        }
        Some((None, wrong)) => DecodedKey::Nothing(wrong.max(1)),
        None => DecodedKey::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arrows_are_known_in_both_modes_and_with_modifiers() {
        let mut decoder = Decoder::default();
        let keys = decoder.feed(b"\x1b[A\x1bOB\x1b[1;2C\x1b[5~\x1b[Hq\r\x7f");
        let wanted = [Key::Up, Key::Down, Key::Right, Key::PageUp, Key::Home];
        assert_eq!(keys[..5], wanted);
        assert_eq!(keys[5..], [Key::Char('q'), Key::Enter, Key::Backspace]);
    }

    #[test]
    fn an_arrow_that_comes_in_two_parts_is_an_arrow_and_a_lone_escape_is_that_key() {
        let mut decoder = Decoder::default();
        assert!(decoder.feed(b"\x1b").is_empty() && decoder.is_waiting());
        assert_eq!(decoder.feed(b"[A"), [Key::Up]);
        assert!(decoder.feed(b"\x1b").is_empty());
        assert_eq!(decoder.flush(), Some(Key::Escape));
        assert!(!decoder.is_waiting());
    }

    #[test]
    fn characters_of_any_language_are_characters() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed("é中".as_bytes()), [Key::Char('é'), Key::Char('中')]);
        assert!(decoder.feed(&"é".as_bytes()[..1]).is_empty());
        assert_eq!(decoder.feed(&"é".as_bytes()[1..]), [Key::Char('é')]);
    }

    proptest! {
        #[test]
        fn no_bytes_hang_or_fill_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            for byte in bytes {
                decoder.feed(&[byte]);
                prop_assert!(decoder.waiting.len() <= LONGEST + 4);
            }
        }
    }
}
