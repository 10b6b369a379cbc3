//! The layout of a review above a question: what decides where a secret goes comes last, and no
//! text of a file can push it off a screen of 24 lines.

use crate::ui::review_row::{Row, width};
use std::collections::BTreeMap;

/// The smallest screen that the end of a review must fit on.
const COLUMNS: usize = 80;
/// The lines for everything except the minor changes and the question.
const DECISIVE_LINES: usize = 17;
/// The lines that are kept for access and sealing, if both parts are long.
const ACCESS_LINES: usize = 5;
/// The lines for the minor changes, which may scroll off.
const MINOR_LINES: usize = 40;

/// What a user reviews before a question.
#[derive(Default)]
pub(crate) struct Review {
    headline: Vec<Row>,
    minor: Vec<(Option<&'static str>, Row)>,
    access: Vec<Row>,
    access_noun: &'static str,
    destinations: Vec<Row>,
    see_all: &'static str,
}

/// The noun for the rows about access.
const ACCESS: &str = "lines about access, keys and sealing";
/// The noun for the rows that decide where a secret goes.
const DESTINATIONS: &str = "changes that decide where a secret goes";

impl Review {
    /// A review that begins with this line. `see_all` is a sentence on how to see what is cut, or
    /// empty.
    pub(crate) fn new(headline: Row, see_all: &'static str) -> Review {
        Review { headline: vec![headline], access_noun: ACCESS, see_all, ..Review::default() }
    }

    pub(crate) fn headline(&mut self, row: Row) {
        self.headline.push(row);
    }

    /// Adds a row that decides neither access nor a destination; `kind` is its plural noun, for the
    /// counts.
    pub(crate) fn minor(&mut self, kind: &'static str, row: Row) {
        self.minor.push((Some(kind), row));
    }

    /// Adds a line between minor rows, which is not counted.
    pub(crate) fn caption(&mut self, row: Row) {
        self.minor.push((None, row));
    }

    /// Adds a row about access, keys or sealing.
    pub(crate) fn access(&mut self, row: Row) {
        if !row.is_caption {
            self.access_noun = ACCESS;
        }
        self.access.push(row);
    }

    /// Adds the rows of an access list.
    pub(crate) fn members(&mut self, rows: Vec<Row>) {
        if counted(&self.access) == 0 {
            self.access_noun = "members";
        }
        self.access.extend(rows);
    }

    /// Adds a row that decides where a secret goes.
    pub(crate) fn destination(&mut self, row: Row) {
        self.destinations.push(row);
    }

    /// The whole review, for a log or a result: every row, with the deciding ones last.
    pub(crate) fn whole(&self) -> String {
        let mut lines: Vec<String> = self.headline.iter().map(Row::whole).collect();
        lines.extend(self.minor.iter().map(|(_, row)| row.whole()));
        lines.extend(self.counts(self.counted()));
        lines.extend(self.access.iter().chain(&self.destinations).map(Row::whole));
        lines.join("\n")
    }

    /// The text of a question about the review. It ends with the numbers of the deciding rows that
    /// do not fit on a screen, if any, and `question`.
    pub(crate) fn question(&self, question: &str) -> String {
        let mut lines: Vec<String> =
            self.headline.iter().map(|row| row.line(2 * COLUMNS)).collect();
        let (mut used, mut shown) = (0, 0);
        for (kind, row) in &self.minor {
            let line = row.line(2 * COLUMNS);
            used += height(&line);
            if used > MINOR_LINES {
                break;
            }
            shown += usize::from(kind.is_some());
            lines.push(line);
        }
        lines.extend(self.counts(shown));
        let wanted: usize = self.access.iter().map(|row| height(&row.line(3 * COLUMNS))).sum();
        let kept = wanted.min(ACCESS_LINES);
        let (below, few, destinations) = fit(&self.destinations, DECISIVE_LINES - kept);
        let (_, some, access) = fit(&self.access, DECISIVE_LINES - below);
        let mut hidden = Vec::new();
        for (all, some, noun) in [
            (counted(&self.access), some, self.access_noun),
            (counted(&self.destinations), few, DESTINATIONS),
        ] {
            if some < all {
                hidden.push(format!("{} of {all} {noun} are NOT shown. ", all - some));
            }
        }
        if !hidden.is_empty() && !self.see_all.is_empty() {
            hidden.push(format!("{} ", self.see_all));
        }
        lines.extend(access);
        lines.extend(destinations);
        lines.push(format!("{}{question}", hidden.concat()));
        lines.join("\n")
    }

    fn counted(&self) -> usize {
        self.minor.iter().filter(|(kind, _)| kind.is_some()).count()
    }

    /// The line that counts the minor rows, below them, if it is needed.
    fn counts(&self, shown: usize) -> Option<String> {
        let mut kinds = Kinds::new();
        for kind in self.minor.iter().filter_map(|(kind, _)| *kind) {
            *kinds.entry(kind).or_default() += 1;
        }
        let is_all = self.access.is_empty() && self.destinations.is_empty();
        counts(&kinds, shown, is_all, self.see_all)
    }
}

/// The numbers of minor rows, by the plural noun of their kind.
pub(crate) type Kinds = BTreeMap<&'static str, usize>;

/// The line that counts the minor rows, below them, if it is needed. `is_all` says that no other
/// rows come after it.
pub(crate) fn counts(kinds: &Kinds, shown: usize, is_all: bool, see_all: &str) -> Option<String> {
    let all: usize = kinds.values().sum();
    if all == 0 || shown == all && is_all {
        return None;
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, count)| match count {
            1 => format!("1 {}", kind.strip_suffix('s').unwrap_or(kind)),
            _ => format!("{count} {kind}"),
        })
        .collect();
    let kinds = kinds.join(", ");
    Some(match shown == all {
        true => format!("(above: {kinds})"),
        false => format!("(above: {shown} of {all} other changes: {kinds}. {see_all})"),
    })
}

/// The rows that fit into so many lines of a screen: all, if they can be cut to fit, else those of
/// the lowest rank. Returns the lines of the screen that they need, their number, and the lines.
fn fit(rows: &[Row], lines: usize) -> (usize, usize, Vec<String>) {
    for columns in [3 * COLUMNS, 2 * COLUMNS, COLUMNS] {
        let cut: Vec<String> = rows.iter().take(lines + 1).map(|row| row.line(columns)).collect();
        let used = cut.iter().map(|line| height(line)).sum();
        if rows.len() <= lines && used <= lines {
            return (used, counted(rows), cut);
        }
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| (rows[*at].rank, *at));
    let (mut used, mut chosen) = (0, Vec::new());
    for at in order {
        let line = rows[at].line(COLUMNS);
        if used + height(&line) > lines {
            break;
        }
        used += height(&line);
        chosen.push((at, line));
    }
    chosen.sort_unstable();
    let count = chosen.iter().filter(|(at, _)| !rows[*at].is_caption).count();
    (used, count, chosen.into_iter().map(|(_, line)| line).collect())
}

fn counted(rows: &[Row]) -> usize {
    rows.iter().filter(|row| !row.is_caption).count()
}

/// The lines of a screen that one line of text needs.
fn height(line: &str) -> usize {
    line.split('\n').map(|line| width(line).div_ceil(COLUMNS).max(1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(at: usize, text: &str) -> Row {
        Row::fixed("! ").long(format!("t{at}{text}.login.url")).and(": added, ").long(text)
    }

    /// The last 24 lines of a screen of 80 columns.
    fn screen(text: &str) -> String {
        let mut lines: Vec<String> = Vec::new();
        for line in text.split('\n') {
            lines.push(String::new());
            let mut used = 0;
            for next in line.chars() {
                used += width(next.encode_utf8(&mut [0; 4]));
                if used > COLUMNS {
                    lines.push(String::new());
                    used = width(next.encode_utf8(&mut [0; 4]));
                }
                lines.last_mut().unwrap().push(next);
            }
        }
        lines[lines.len().saturating_sub(24)..].join("\n")
    }

    #[test]
    fn whatever_is_long_the_deciding_rows_stay_on_the_screen() {
        for (comments, members, destinations, text) in [
            (3000, 0, 1, "x".to_owned()),
            (3000, 3000, 1, "x".into()),
            (1, 1, 10_000, "x".into()),
            (3000, 3000, 3000, "日".repeat(1000)),
            (1, 1, 2, "y".repeat(1 << 20)),
            (0, 10_000, 0, "x".into()),
        ] {
            let mut review = Review::new(Row::fixed("file: against generation 1"), "See all: x.");
            (0..comments).for_each(|_| review.minor("comments", Row::fixed("#").long(&*text)));
            review.members(
                (0..members).map(|at| Row::fixed(format!("m{at} ")).long(&*text)).collect(),
            );
            (0..destinations).for_each(|at| review.destination(changed(at, &text)));
            review.destination(changed(99_999, "evil").ranked(0));
            let seen = screen(&review.question("Sign this?")).replace('\n', "");
            assert!(seen.ends_with("Sign this?"), "{seen}");
            if destinations <= 2 {
                assert!(seen.contains("t99999evil.login.url"), "{seen}");
            } else {
                let words = format!("of {} changes that decide where", destinations + 1);
                assert!(seen.contains(&words), "{seen}");
            }
            if members > 100 {
                assert!(seen.contains(&format!("of {members} members are NOT shown")), "{seen}");
                assert!(seen.contains("m0 "), "{seen}");
            }
            if comments > 100 && destinations == 1 {
                let words = " of 3000 other changes: 3000 comments. See all: x.)";
                assert!(seen.contains(words), "{seen}");
            }
            assert!(review.whole().lines().count() >= comments + members + destinations);
        }
    }

    #[test]
    fn the_most_important_rows_are_kept() {
        let mut review = Review::new(Row::fixed("file"), "");
        (0..1000).for_each(|at| review.destination(changed(at, "x").ranked(2)));
        review.destination(changed(7777, "x").ranked(0));
        (0..1000).for_each(|at| review.destination(changed(at, "x").ranked(1)));
        assert!(screen(&review.question("Sign this?")).contains("t7777x"));
    }
}
