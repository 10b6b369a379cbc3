//! One line of a review. If it is too wide, the long parts lose their middle and keep both ends.

/// The maximum width of one part, even where the line has room for more, so that no value of a
/// file can fill a screen.
pub(crate) const LONGEST_PART: usize = 400;
/// The minimum width to which a long part is cut.
const SHORTEST_PART: usize = 24;

/// One line of a review.
#[derive(Clone, Default)]
pub(crate) struct Row {
    parts: Vec<Part>,
    /// If not all rows fit, those with the lowest ranks are shown.
    pub(crate) rank: u8,
    /// Whether it only introduces the rows below it, and is not counted.
    pub(crate) is_caption: bool,
}

#[derive(Clone)]
enum Part {
    /// Short text that is always shown.
    Fixed(String),
    /// Text of a file, which may be cut.
    Long(String),
}

impl Row {
    /// A line that is always shown as it is; for text that is short.
    pub(crate) fn fixed(text: impl Into<String>) -> Row {
        Row::default().and(text)
    }

    /// Appends text that is always shown.
    pub(crate) fn and(mut self, text: impl Into<String>) -> Row {
        self.parts.push(Part::Fixed(text.into()));
        self
    }

    /// Appends text of a file, which may be cut in its middle.
    pub(crate) fn long(mut self, text: impl Into<String>) -> Row {
        self.parts.push(Part::Long(text.into()));
        self
    }

    /// Appends the parts of another row.
    pub(crate) fn then(mut self, other: Row) -> Row {
        self.parts.extend(other.parts);
        self
    }

    pub(crate) fn into_caption(self) -> Row {
        Row { is_caption: true, ..self }
    }

    pub(crate) fn ranked(self, rank: u8) -> Row {
        Row { rank, ..self }
    }

    /// The line, cut to this many columns, or to more if its fixed parts and the minimum widths
    /// need more.
    pub(crate) fn line(&self, columns: usize) -> String {
        let fixed: usize = self.parts.iter().map(|part| part.fixed_width()).sum();
        let mut widths: Vec<usize> = self.parts.iter().filter_map(Part::long_width).collect();
        widths.sort_unstable();
        // Short parts leave their share to the long ones.
        let (mut left, mut share) = (columns.saturating_sub(fixed), LONGEST_PART);
        for (at, width) in widths.iter().enumerate() {
            share = (left / (widths.len() - at)).clamp(SHORTEST_PART, LONGEST_PART);
            if *width > share {
                break;
            }
            left = left.saturating_sub(*width);
        }
        let parts = self.parts.iter().map(|part| match part {
            Part::Fixed(text) => text.clone(),
            Part::Long(text) => cut(text, share),
        });
        parts.collect()
    }

    /// The line with nothing cut.
    pub(crate) fn uncut(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Fixed(text) | Part::Long(text) => text.as_str(),
        });
        parts.collect()
    }

    /// The line of any width, in which only parts longer than [`LONGEST_PART`] are cut.
    pub(crate) fn whole(&self) -> String {
        self.line(usize::MAX)
    }
}

impl Part {
    fn fixed_width(&self) -> usize {
        if let Part::Fixed(text) = self { width(text) } else { 0 }
    }

    fn long_width(&self) -> Option<usize> {
        if let Part::Long(text) = self { Some(width(text)) } else { None }
    }
}

/// The columns that a terminal needs for the text, at most: a character outside ASCII may take two.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|next| if next.is_ascii() { 1 } else { 2 }).sum()
}

/// The text in at most `columns` columns. If it is cut, it keeps its end, because the last labels
/// of a host show whose host it is, and the last segment of a name shows what the name sets.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let left_out = |kept: usize| match columns {
        60.. => format!(" … {} more characters … ", text.chars().count() - kept),
        _ => "…".to_owned(),
    };
    let room = columns.saturating_sub(width(&left_out(0)));
    let fits = |characters: &mut dyn Iterator<Item = char>, room: usize| -> Vec<char> {
        let mut used = 0;
        let within = characters.take_while(|next| {
            used += if next.is_ascii() { 1 } else { 2 };
            used <= room
        });
        within.collect()
    };
    let tail = fits(&mut text.chars().rev(), room / 2);
    let head = fits(&mut text.chars(), room - room / 2);
    let middle = left_out(head.len() + tail.len());
    head.into_iter().chain(middle.chars()).chain(tail.into_iter().rev()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_start_and_its_end() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("abcdefghijklmnop", 12), "abcde…lmnop");
        let long = "x".repeat(1 << 20) + ".evil.example";
        let shown = cut(&long, 80);
        assert!(shown.contains(" … 1048") && shown.ends_with(".evil.example"), "{shown}");
        for text in ["日本語".repeat(1000), "é\u{301}".repeat(1000), long] {
            for columns in [12, 59, 60, 200] {
                assert!(width(&cut(&text, columns)) <= columns, "{columns}");
            }
        }
    }

    #[test]
    fn short_parts_stay_whole_and_long_ones_share_the_rest() {
        let long = "v".repeat(10_000);
        let row =
            Row::fixed("! ").long("acme.login.url").and(": ").long(&*long).and(" → ").long(long);
        let line = row.line(160);
        assert!(line.starts_with("! acme.login.url: vvv") && width(&line) <= 160, "{line}");
        assert!(row.whole().len() < 1000);
        assert_eq!(Row::fixed("a").long("b").line(0), "ab");
    }
}
