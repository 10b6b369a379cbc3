//! The limits of a document. What they limit is counted while the document is read, before anything
//! large is built.

/// The maximum number of properties.
pub(in crate::text) const MAX_PROPERTIES: usize = 131_072;
/// The maximum number of tables outside arrays.
pub(in crate::text) const MAX_TABLES: usize = 131_072;
/// The maximum number of array elements, and of keys inside arrays, all together.
pub(in crate::text) const MAX_ELEMENTS: usize = 1_048_576;
/// The maximum length of the segments of all paths together, in bytes.
pub(in crate::text) const MAX_NAMES: usize = 16 << 20;
/// The deepest allowed nesting of arrays and inline tables.
pub(in crate::text) const MAX_NESTING: u32 = 64;
/// The maximum number of elements and keys in the lists of `[bootseal]`. The longest valid lists
/// have half as many.
const MAX_OWN_ELEMENTS: usize = 4096;

/// What has been counted so far.
pub(in crate::text) struct Counts {
    properties: usize,
    tables: usize,
    elements: usize,
    names: usize,
    most_elements: usize,
}

impl Counts {
    /// The counts of the user's part.
    pub(in crate::text) fn of_user() -> Counts {
        Counts { properties: 0, tables: 0, elements: 0, names: 0, most_elements: MAX_ELEMENTS }
    }

    /// The counts of `[bootseal]`.
    pub(in crate::text) fn of_own() -> Counts {
        Counts { most_elements: MAX_OWN_ELEMENTS, ..Counts::of_user() }
    }

    /// The counts of a sealed value's content, which only the length of a file limits.
    pub(in crate::text) fn of_value() -> Counts {
        Counts { most_elements: usize::MAX, ..Counts::of_user() }
    }

    pub(in crate::text) fn property(&mut self) -> Result<(), String> {
        self.properties += 1;
        within(self.properties, MAX_PROPERTIES, "properties")
    }

    pub(in crate::text) fn table(&mut self) -> Result<(), String> {
        self.tables += 1;
        within(self.tables, MAX_TABLES, "tables")
    }

    pub(in crate::text) fn element(&mut self) -> Result<(), String> {
        self.elements += 1;
        within(self.elements, self.most_elements, "array elements, and keys inside arrays")
    }

    pub(in crate::text) fn path(&mut self, segments: &[String]) -> Result<(), String> {
        self.names += segments.iter().map(String::len).sum::<usize>();
        match self.names > MAX_NAMES {
            true => Err("the names of its properties are longer than 16 MiB in total".into()),
            false => Ok(()),
        }
    }
}

fn within(count: usize, most: usize, what: &str) -> Result<(), String> {
    match count > most {
        true => Err(format!("has more than {most} {what}, the limit of a sealed file")),
        false => Ok(()),
    }
}
