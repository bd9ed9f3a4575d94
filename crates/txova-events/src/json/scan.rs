//! Finds where values begin and end, without building them. It must never know what they mean.
//!
//! Written by hand because a payload must survive byte for byte even where it is no UTF-8, which no parser of Rust's
//! `str` can promise, and because one pass over the bytes is all the hot path may cost. It does not recurse.

use crate::error::{DecodeError, DecodeErrorKind};

/// Go's `encoding/json` stops here, too.
const DEPTH_LIMIT: usize = 10_000;

/// One member of an object: name and value as they stand in the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    /// The name between its quotes, escapes and all.
    pub name: &'a [u8],
    /// The value, without blanks around it.
    pub value: &'a [u8],
}

/// The members of an object, found one after the other. After an error it ends.
pub(crate) struct Members<'a> {
    scanner: Scanner<'a>,
    state: State,
}

enum State {
    First,
    Next,
    Done,
}

/// The members of the one object that `bytes` is. Errors of syntax surface when the iterator gets there.
/// `None` where the first byte is no brace.
pub(crate) fn members(bytes: &[u8]) -> Option<Members<'_>> {
    let mut scanner = Scanner { bytes, at: 0 };
    scanner.blanks();
    if scanner.peek() != Some(b'{') {
        return None;
    }
    scanner.at += 1;
    Some(Members { scanner, state: State::First })
}

/// The elements of the one list that `bytes` is; `None` where the first byte is no bracket.
pub(crate) fn elements(bytes: &[u8]) -> Option<impl Iterator<Item = Result<&[u8], DecodeError>>> {
    let mut scanner = Scanner { bytes, at: 0 };
    scanner.blanks();
    if scanner.peek() != Some(b'[') {
        return None;
    }
    scanner.at += 1;
    let mut state = State::First;
    Some(std::iter::from_fn(move || {
        let element = scanner.element(&mut state).transpose()?;
        if element.is_err() {
            state = State::Done;
        }
        Some(element)
    }))
}

/// Whether `bytes` is exactly one JSON value.
pub(crate) fn check(bytes: &[u8]) -> Result<(), DecodeError> {
    single(bytes).map(|_| ())
}

/// The one value that `bytes` is, without the blanks around it.
pub(crate) fn single(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let mut scanner = Scanner { bytes, at: 0 };
    scanner.blanks();
    let value = scanner.value(0)?;
    scanner.end()?;
    Ok(value)
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.step();
        match found {
            Ok(Some(member)) => Some(Ok(member)),
            Ok(None) => None,
            Err(error) => {
                self.state = State::Done;
                Some(Err(error))
            }
        }
    }
}

impl<'a> Members<'a> {
    fn step(&mut self) -> Result<Option<Member<'a>>, DecodeError> {
        let scanner = &mut self.scanner;
        if !scanner.next(&mut self.state, b'}')? {
            return Ok(None);
        }
        let name = scanner.name()?;
        scanner.blanks();
        Ok(Some(Member { name, value: scanner.value(1)? }))
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Goes to the next part of the outermost object or list; false at its end, which must be the end of all.
    fn next(&mut self, state: &mut State, closing: u8) -> Result<bool, DecodeError> {
        self.blanks();
        match state {
            State::Done => return Ok(false),
            State::First if self.peek() != Some(closing) => *state = State::Next,
            State::Next if self.peek() == Some(b',') => {
                self.at += 1;
                self.blanks();
            }
            _ if self.peek() == Some(closing) => {
                self.at += 1;
                *state = State::Done;
                self.end()?;
                return Ok(false);
            }
            _ => return Err(self.unexpected("a comma or the closing bracket")),
        }
        Ok(true)
    }

    fn element(&mut self, state: &mut State) -> Result<Option<&'a [u8]>, DecodeError> {
        if self.next(state, b']')? { self.value(1).map(Some) } else { Ok(None) }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Result<(), DecodeError> {
        self.blanks();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    fn unexpected(&self, expected: &str) -> DecodeError {
        let found = match self.peek() {
            None if self.bytes.is_empty() => "there are no bytes".to_owned(),
            None => format!("the bytes end at {}", self.at),
            Some(byte) => format!("{:?} at byte {}", char::from(byte), self.at),
        };
        DecodeError::new(DecodeErrorKind::Syntax, "", format!("no JSON: {found}, expected {expected}"))
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Result<&'a [u8], DecodeError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a name in quotes"));
        }
        let quoted = self.text()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("a colon"));
        }
        self.at += 1;
        Ok(&quoted[1..quoted.len() - 1])
    }

    /// Any value; `outer` is how many brackets are open around it.
    fn value(&mut self, outer: usize) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        let mut open = Vec::new(); // closing brackets awaited; allocates only when there are any
        loop {
            self.blanks();
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    if outer + open.len() == DEPTH_LIMIT {
                        return Err(self.unexpected("at most 10000 values inside one another"));
                    }
                    self.at += 1;
                    self.blanks();
                    let closing = if bracket == b'{' { b'}' } else { b']' };
                    if self.peek() != Some(closing) {
                        open.push(closing);
                        if closing == b'}' {
                            self.name()?;
                        }
                        continue;
                    }
                    self.at += 1;
                }
                Some(b'"') => {
                    self.text()?;
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                _ => return Err(self.unexpected("a value")),
            }
            loop {
                let Some(&closing) = open.last() else { return Ok(&self.bytes[start..self.at]) };
                self.blanks();
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if closing == b'}' {
                            self.blanks();
                            self.name()?;
                        }
                        break;
                    }
                    Some(byte) if byte == closing => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return Err(self.unexpected("a comma or a closing bracket")),
                }
            }
        }
    }

    fn text(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.bytes[start..self.at]);
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                                    return Err(self.unexpected("four hexadecimal digits after \\u"));
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(self.unexpected("an escape of JSON")),
                    }
                }
                Some(0x20..) => self.at += 1,
                _ => {
                    return Err(
                        self.unexpected("the rest of a text (control characters are written as escapes)")
                    );
                }
            }
        }
    }

    fn number(&mut self) -> Result<(), DecodeError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.unexpected("a digit")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), DecodeError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected("a digit"));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), DecodeError> {
        for &expected in literal {
            if self.peek() != Some(expected) {
                return Err(self.unexpected("true, false or null"));
            }
            self.at += 1;
        }
        Ok(())
    }
}
