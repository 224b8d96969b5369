//! As much of Markdown as docs/protocol.md uses: a title line, and the table or the fenced block below it.

/// A table's cells or a fenced block's lines, with the paragraph that stands right above.
#[derive(Debug)]
pub(crate) struct Block {
    /// The last line of text above.
    pub(crate) title: String,
    /// What it holds.
    pub(crate) content: Content,
}

/// What a block holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// The cells of each row, the row of column names first.
    Table(Vec<Vec<String>>),
    /// The lines between the fences.
    Fence(Vec<String>),
}

impl Block {
    /// The rows of the table with these columns; those beyond are left out.
    pub(crate) fn rows(&self, columns: &[&str]) -> Vec<Vec<&str>> {
        let Content::Table(rows) = &self.content else {
            panic!("below \"{}\" there should be a table", self.title)
        };
        let mut rows = rows.iter().map(|row| -> Vec<&str> {
            row.iter().take(columns.len()).map(|cell| cell.trim_matches('`')).collect()
        });
        assert_eq!(rows.next().as_deref(), Some(columns), "columns of the table below \"{}\"", self.title);
        rows.collect()
    }
}

/// All tables and fenced blocks of a document.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut title = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let content = if line.starts_with("```") {
            Content::Fence(lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect())
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
                if !line.starts_with("| ---") {
                    rows.push(cells(line));
                }
            }
            Content::Table(rows)
        } else {
            if !line.is_empty() {
                title = line.to_owned();
            }
            continue;
        };
        blocks.push(Block { title: std::mem::take(&mut title), content });
    }
    blocks
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}
