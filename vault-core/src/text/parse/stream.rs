//! The grammar of TOML over a stream of tokens: it reports the same events as `toml_parser`'s
//! `parse_document`, but never holds more than two tokens.
//!
//! A list of all tokens takes up to 24 times the memory of the text. `toml_parser` still splits the
//! text into tokens and decodes keys and values; only the order of tokens is checked here. The
//! first error ends the stream.

use crate::text::parse::limits::MAX_NESTING;
use toml_parser::decoder::Encoding;
use toml_parser::lexer::{Lexer, Token, TokenKind};
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, ParseError, Source, Span};

/// Reads a document, and stops at the first error.
pub(in crate::text) fn stream_document(
    source: Source<'_>,
    receiver: &mut dyn EventReceiver,
) -> Result<(), ParseError> {
    let mut stream = Stream::of(source, receiver);
    stream.document();
    stream.error.map_or(Ok(()), Err)
}

/// Reads one value, with white space on both sides.
pub(in crate::text) fn stream_value(
    source: Source<'_>,
    receiver: &mut dyn EventReceiver,
) -> Result<(), ParseError> {
    let mut stream = Stream::of(source, receiver);
    stream.blank();
    stream.value(0);
    stream.end_of_line();
    stream.error.map_or(Ok(()), Err)
}

/// The extent and the encoding of the key or scalar that begins at `start`.
pub(in crate::text) fn token_at(text: &str, start: usize) -> (Span, Option<Encoding>) {
    let token = Source::new(text.get(start..).unwrap_or_default()).lex().next();
    let span = token.map_or_else(Span::default, |token| token.span());
    (
        Span::new_unchecked(start + span.start(), start + span.end()),
        token.and_then(|token| token.kind().encoding()),
    )
}

struct Stream<'a, 'r> {
    source: Source<'a>,
    lexer: Lexer<'a>,
    /// Tokens that were looked at, but not consumed.
    ahead: [Option<Token>; 2],
    receiver: &'r mut dyn EventReceiver,
    error: Option<ParseError>,
}

impl<'a, 'r> Stream<'a, 'r> {
    fn of(source: Source<'a>, receiver: &'r mut dyn EventReceiver) -> Stream<'a, 'r> {
        Stream { source, lexer: source.lex(), ahead: [None, None], receiver, error: None }
    }

    fn next(&mut self) -> Option<Token> {
        let [first, second] = &mut self.ahead;
        match first.take() {
            Some(token) => {
                *first = second.take();
                Some(token)
            }
            None => self.lexer.next(),
        }
    }

    fn peek(&mut self) -> Option<Token> {
        if self.ahead[0].is_none() {
            self.ahead[0] = self.lexer.next();
        }
        self.ahead[0]
    }

    fn peek_second(&mut self) -> Option<Token> {
        self.peek();
        if self.ahead[1].is_none() {
            self.ahead[1] = self.lexer.next();
        }
        self.ahead[1]
    }

    fn next_if(&mut self, kind: TokenKind) -> Option<Token> {
        self.peek().filter(|token| token.kind() == kind)?;
        self.next()
    }

    fn fail(&mut self, what: &'static str, at: Span) {
        self.error.report_error(ParseError::new(what).with_unexpected(at));
    }

    fn document(&mut self) {
        while self.error.is_none() {
            let Some(token) = self.next() else { return };
            match token.kind() {
                TokenKind::LeftSquareBracket => self.header(token),
                TokenKind::LiteralString
                | TokenKind::BasicString
                | TokenKind::MlLiteralString
                | TokenKind::MlBasicString
                | TokenKind::Atom => {
                    self.key(token);
                    self.blank();
                    self.separator("key with no value");
                    self.blank();
                    self.value(0);
                    self.end_of_line();
                }
                TokenKind::Equals
                | TokenKind::Dot
                | TokenKind::Comma
                | TokenKind::RightCurlyBracket
                | TokenKind::LeftCurlyBracket => {
                    self.fail("invalid key-value pair", token.span());
                }
                TokenKind::RightSquareBracket => self.fail("missing table open", token.span()),
                TokenKind::Whitespace | TokenKind::Newline | TokenKind::Comment => {
                    self.space(token);
                }
                TokenKind::Eof => return,
            }
        }
    }

    /// White space, a newline, or a comment, whose bytes are checked.
    fn space(&mut self, token: Token) {
        let span = token.span();
        let Some(raw) = self.source.get(token) else { return };
        match token.kind() {
            TokenKind::Comment => {
                raw.decode_comment(&mut self.error);
                self.receiver.comment(span, &mut self.error);
                if !matches!(
                    self.peek().map(|token| token.kind()),
                    None | Some(TokenKind::Newline | TokenKind::Eof)
                ) {
                    self.fail("unexpected content between comment and newline", span);
                }
            }
            TokenKind::Newline => {
                raw.decode_newline(&mut self.error);
                self.receiver.newline(span, &mut self.error);
            }
            _ => self.receiver.whitespace(span, &mut self.error),
        }
    }

    fn blank(&mut self) {
        if let Some(token) = self.next_if(TokenKind::Whitespace) {
            self.space(token);
        }
    }

    fn end_of_line(&mut self) {
        while self.error.is_none() {
            let Some(token) = self.next() else { return };
            match token.kind() {
                TokenKind::Whitespace | TokenKind::Comment => self.space(token),
                TokenKind::Newline => return self.space(token),
                TokenKind::Eof => return,
                _ => self.fail("unexpected key or value", token.span()),
            }
        }
    }

    fn header(&mut self, open: Token) {
        let second = self.next_if(TokenKind::LeftSquareBracket);
        match second {
            Some(second) => {
                self.receiver.array_table_open(open.span().append(second.span()), &mut self.error);
            }
            None => self.receiver.std_table_open(open.span(), &mut self.error),
        }
        self.blank();
        match self.next() {
            Some(token) if is_key(token.kind()) => self.key(token),
            token => {
                let at = token.map_or(open.span(), |token| token.span());
                return self.fail("invalid table: a key is missing", at);
            }
        }
        self.blank();
        let close = self.next_if(TokenKind::RightSquareBracket);
        match (second, close) {
            (None, Some(close)) => self.receiver.std_table_close(close.span(), &mut self.error),
            (Some(_), Some(close)) => match self.next_if(TokenKind::RightSquareBracket) {
                Some(last) => {
                    let span = close.span().append(last.span());
                    self.receiver.array_table_close(span, &mut self.error);
                }
                None => return self.fail("unclosed array table", close.span()),
            },
            (None, None) => return self.fail("unclosed table", open.span()),
            (Some(_), None) => return self.fail("unclosed array table", open.span()),
        }
        self.end_of_line();
    }

    /// A dotted key, whose first segment is `token`.
    fn key(&mut self, token: Token) {
        self.receiver.simple_key(token.span(), token.kind().encoding(), &mut self.error);
        self.blank();
        while self.error.is_none() {
            let Some(dot) = self.next_if(TokenKind::Dot) else { return };
            self.receiver.key_sep(dot.span(), &mut self.error);
            self.blank();
            match self.next() {
                Some(token) if is_key(token.kind()) => {
                    let encoding = token.kind().encoding();
                    self.receiver.simple_key(token.span(), encoding, &mut self.error);
                    self.blank();
                }
                _ => self.fail("a segment of a dotted key is missing", dot.span()),
            }
        }
    }

    fn separator(&mut self, what: &'static str) {
        if self.error.is_some() {
            return;
        }
        match self.next() {
            Some(token) if token.kind() == TokenKind::Equals => {
                self.receiver.key_val_sep(token.span(), &mut self.error);
            }
            token => {
                let at = token.map_or_else(Span::default, |token| token.span());
                self.fail(what, at);
            }
        }
    }

    fn value(&mut self, depth: u32) {
        if self.error.is_some() {
            return;
        }
        let Some(token) = self.next() else { return };
        let span = token.span();
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket if depth == MAX_NESTING => {
                self.fail("cannot recurse further; max recursion depth met", span);
            }
            TokenKind::LeftSquareBracket => self.array(token, depth + 1),
            TokenKind::LeftCurlyBracket => self.inline_table(token, depth + 1),
            TokenKind::LiteralString
            | TokenKind::BasicString
            | TokenKind::MlLiteralString
            | TokenKind::MlBasicString => {
                self.receiver.scalar(span, token.kind().encoding(), &mut self.error);
            }
            TokenKind::Dot | TokenKind::Atom => {
                let span = self.bare(span);
                self.receiver.scalar(span, None, &mut self.error);
            }
            TokenKind::RightCurlyBracket => self.fail("missing inline table opening", span),
            TokenKind::RightSquareBracket => self.fail("missing array opening", span),
            TokenKind::Equals => self.fail("extra `=`", span),
            TokenKind::Comment
            | TokenKind::Comma
            | TokenKind::Newline
            | TokenKind::Eof
            | TokenKind::Whitespace => self.fail("a value is missing", span),
        }
    }

    /// A bare scalar may contain dots (`1.5`) and one blank (`1979-05-27 07:32:00`).
    fn bare(&mut self, mut span: Span) -> Span {
        loop {
            match self.peek().map(|token| (token.kind(), token.span())) {
                Some((TokenKind::Dot | TokenKind::Atom, more)) => {
                    span = span.append(more);
                    self.next();
                }
                Some((TokenKind::Whitespace, _)) => {
                    match self.peek_second().filter(|token| token.kind() == TokenKind::Atom) {
                        Some(second) => {
                            span = span.append(second.span());
                            self.next();
                            self.next();
                        }
                        None => return span,
                    }
                }
                _ => return span,
            }
        }
    }

    fn array(&mut self, open: Token, depth: u32) {
        let _ = self.receiver.array_open(open.span(), &mut self.error);
        let mut wants_value = true;
        while self.error.is_none() {
            let Some(token) = self.peek() else { return };
            match token.kind() {
                TokenKind::Whitespace | TokenKind::Newline | TokenKind::Comment => {
                    self.next();
                    self.space(token);
                }
                TokenKind::RightSquareBracket => {
                    self.next();
                    return self.receiver.array_close(token.span(), &mut self.error);
                }
                TokenKind::Eof => self.fail("unclosed array", open.span()),
                TokenKind::Comma if wants_value => {
                    self.fail("extra comma in array", token.span());
                }
                TokenKind::Comma => {
                    self.next();
                    self.receiver.value_sep(token.span(), &mut self.error);
                    wants_value = true;
                }
                TokenKind::Equals => self.fail("unexpected `=` in array", token.span()),
                _ if wants_value => {
                    self.value(depth);
                    wants_value = false;
                }
                _ => self.fail("missing comma between array elements", token.span()),
            }
        }
    }

    fn inline_table(&mut self, open: Token, depth: u32) {
        let _ = self.receiver.inline_table_open(open.span(), &mut self.error);
        let mut wants_key = true;
        while self.error.is_none() {
            let Some(token) = self.next() else { return };
            match token.kind() {
                TokenKind::Whitespace | TokenKind::Newline | TokenKind::Comment => {
                    self.space(token);
                }
                TokenKind::RightCurlyBracket => {
                    return self.receiver.inline_table_close(token.span(), &mut self.error);
                }
                TokenKind::Eof => self.fail("unclosed inline table", open.span()),
                TokenKind::Comma if wants_key => {
                    self.fail("extra comma in inline table", token.span());
                }
                TokenKind::Comma => {
                    self.receiver.value_sep(token.span(), &mut self.error);
                    wants_key = true;
                }
                kind if is_key(kind) && wants_key => {
                    self.key(token);
                    self.spaces();
                    self.separator("missing assignment between key-value pairs");
                    self.spaces();
                    self.value(depth);
                    wants_key = false;
                }
                kind if is_key(kind) => {
                    self.fail("missing comma between key-value pairs", token.span());
                }
                _ => self.fail("a key is missing in an inline table", token.span()),
            }
        }
    }

    /// White space, newlines and comments inside an inline table, which TOML 1.1 allows.
    fn spaces(&mut self) {
        while self.error.is_none()
            && let Some(token) = self.peek().filter(|token| {
                matches!(
                    token.kind(),
                    TokenKind::Whitespace | TokenKind::Newline | TokenKind::Comment
                )
            })
        {
            self.next();
            self.space(token);
        }
    }
}

fn is_key(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::LiteralString
            | TokenKind::BasicString
            | TokenKind::MlLiteralString
            | TokenKind::MlBasicString
            | TokenKind::Atom
    )
}
