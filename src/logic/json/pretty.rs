//! JSON laid out for people: a line for each value, two spaces for each level.

use super::Json;

impl Json {
    /// The value on as many lines as it has parts.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        write(&mut out, self, 0);
        out
    }
}

fn write(out: &mut String, value: &Json, level: usize) {
    match value {
        Json::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "[" } else { "," });
                line(out, level + 1);
                write(out, item, level + 1);
            }
            line(out, level);
            out.push(']');
        }
        Json::Object(map) if !map.is_empty() => {
            for (at, (name, value)) in map.iter().enumerate() {
                out.push_str(if at == 0 { "{" } else { "," });
                line(out, level + 1);
                out.push_str(&Json::from(name.as_str()).to_string());
                out.push_str(": ");
                write(out, value, level + 1);
            }
            line(out, level);
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn line(out: &mut String, level: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", level));
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn every_part_has_a_line() {
        let value = parse(r#"{"a":[1.50,{},[],{"b\n":null}],"c":"x"}"#).unwrap();
        let expected =
            "{\n  \"a\": [\n    1.50,\n    {},\n    [],\n    {\n      \"b\\n\": null\n    }\n  ],\n  \"c\": \"x\"\n}";
        assert_eq!(value.pretty(), expected);
        assert_eq!(parse(&value.pretty()), Ok(value));
    }
}
