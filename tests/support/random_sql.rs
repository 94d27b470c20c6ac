//! Random texts that are hard to split into statements. Many of them are SQL, which somebody can judge.

/// What a random text is made of: statements that are whole wherever they end, and what may hide a semicolon.
const WHOLE: [&str; 12] = [
    "select 1",
    "select 'x'",
    "table t",
    "values (1)",
    "select e'\\''",
    "select $$;$$",
    "create rule r as on insert to t do also (select 1; select 2)",
    "create function f() returns int begin atomic select 1; select case when true then 1 end; end",
    "create function f() returns int language sql as $f$ select 1; $f$",
    "set a.b = ';'",
    "do $x$ begin end; $x$",
    "",
];
const NASTY: [&str; 42] = [
    "'",
    "''",
    "\\",
    "\\'",
    "E'",
    "e'",
    "U&'",
    "u&\"",
    "B'",
    "x'",
    "N'",
    "$",
    "$$",
    "$a$",
    "$A$",
    "$é$",
    "$1",
    "a$a$",
    "\"",
    "\"\"",
    "--",
    "/*",
    "*/",
    "/*/",
    "\n",
    "\r",
    " ",
    "\t",
    ";",
    ";;",
    "(",
    ")",
    "[",
    "]",
    "-",
    "*/ ;",
    "' ;",
    "\n'",
    "as x",
    "é",
    "begin atomic",
    "end",
];

/// A small generator with a fixed start: every run gets the same texts.
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(88_172_645_463_325_252)
    }
}

impl Iterator for Random {
    type Item = String;

    /// It never ends.
    fn next(&mut self) -> Option<String> {
        Some(self.text())
    }
}

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len())]
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for statement in 0..=self.below(3) {
            if statement > 0 {
                text += ";";
            }
            // Most of what is wholly random is no SQL, of which nothing can be learnt.
            let (whole, nasty) = (self.pick(&WHOLE), self.nasty());
            text += &match self.below(8) {
                0 => format!("select '{nasty}'"),
                1 => format!("select e'{nasty}' as a"),
                2 => format!("select $${nasty}$$"),
                3 => format!("select $a${nasty}$a$, 1"),
                4 => format!("select \"x{nasty}\" from t"),
                5 => format!("{whole} /*{nasty}*/"),
                6 => format!("{whole} --{nasty}\n"),
                _ => format!("{whole} {nasty}"),
            };
        }
        text
    }

    fn nasty(&mut self) -> String {
        (0..self.below(4)).map(|_| self.pick(&NASTY)).collect()
    }
}
