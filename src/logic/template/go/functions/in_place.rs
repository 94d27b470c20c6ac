//! What Sprig changes in place. `{{ $_ := set $dict "key" "value" }}` is how templates change a
//! dict, though it only says that `$_` becomes something. Values never change here, so the variable
//! is given the changed dict: `{{ $_ := ($dict = set $dict "key" "value") }}`. `$dict.sub` works
//! alike. Two variables with one dict become two dicts, though.
//!
//! What is not behind a variable cannot be given anything. Where the result is used there is no
//! harm: `{{ $labels := merge .Row.labels $defaults }}`. Where it is thrown away the template would
//! silently do nothing: that is refused.

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, SmolStr};

/// A change whose result is thrown away, of what is not behind a variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Discarded {
    /// The function.
    pub function: String,
    /// Where it is called, in bytes of the template.
    pub offset: usize,
}

/// Functions that change their first argument.
const CHANGING: [&str; 6] = ["set", "unset", "merge", "mergeOverwrite", "mustMerge", "mustMergeOverwrite"];

/// Makes changes reach the variables they are meant for, in the whole of a template.
pub fn assign_changes(list: &mut ListNode) -> Result<(), Discarded> {
    list.nodes.iter_mut().try_for_each(in_node)
}

fn in_node(node: &mut Node) -> Result<(), Discarded> {
    match node {
        Node::List(list) => assign_changes(list),
        Node::Action(action) => in_pipe(&mut action.pipe),
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => in_branch(branch),
        Node::Template(call) => call.pipe.as_mut().map_or(Ok(()), in_pipe),
        Node::Define(define) => assign_changes(&mut define.body),
        Node::Text(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
    }
}

fn in_branch(branch: &mut BranchNode) -> Result<(), Discarded> {
    in_pipe(&mut branch.pipe)?;
    assign_changes(&mut branch.body)?;
    branch.else_body.as_mut().map_or(Ok(()), assign_changes)
}

fn in_pipe(pipe: &mut PipeNode) -> Result<(), Discarded> {
    for command in &mut pipe.commands {
        command.args.iter_mut().try_for_each(in_expression)?;
    }
    let discards = pipe.decl.iter().any(|name| name == "$_");
    let mut done = Vec::new();
    let mut rest = std::mem::take(&mut pipe.commands).into_iter().peekable();
    while let Some(command) = rest.next() {
        let change = Change::of(&command);
        done.push(command);
        match change {
            Some(Change { target: Some((variable, fields)), .. }) => {
                let commands = written_back(std::mem::take(&mut done), &variable, &fields);
                done = vec![commands];
            }
            Some(Change { function, offset, target: None }) if discards && rest.peek().is_none() => {
                return Err(Discarded { function, offset });
            }
            _ => {}
        }
    }
    pipe.commands = done;
    Ok(())
}

fn in_expression(expression: &mut Expr) -> Result<(), Discarded> {
    match expression {
        Expr::Pipe(_, pipe) => in_pipe(pipe),
        Expr::Chain(_, inner, _) => in_expression(inner),
        _ => Ok(()),
    }
}

struct Change {
    function: String,
    offset: usize,
    /// The variable that holds what changes, and the keys that lead there.
    target: Option<(SmolStr, Vec<SmolStr>)>,
}

impl Change {
    fn of(command: &CommandNode) -> Option<Self> {
        let [Expr::Identifier(pos, function), first, ..] = command.args.as_slice() else {
            return None;
        };
        if !CHANGING.contains(&function.as_str()) {
            return None;
        }
        let target = match first {
            // `$` is what the template was given: `.` would not follow.
            Expr::Variable(_, name, fields) if name != "$" => Some((name.clone(), fields.clone())),
            _ => None,
        };
        Some(Self { function: function.to_string(), offset: pos.offset, target })
    }
}

/// A command that computes a change, assigns it to its variable, and has it as its value. Of
/// `set $d.a.b "k" "v"` the value is what `$d.a.b` is afterwards:
/// `($d = set $d "a" (set $d.a "b" (set $d.a.b "k" "v"))).a.b`.
fn written_back(commands: Vec<CommandNode>, variable: &SmolStr, fields: &[SmolStr]) -> CommandNode {
    let pos = commands.last().map_or(gotmpl::parse::Pos::new(0, 1), |command| command.pos);
    let pipe = |decl, commands, is_assign| PipeNode { pos, decl, commands, is_assign };
    let mut commands = commands;
    for (depth, key) in fields.iter().enumerate().rev() {
        let above = fields.get(..depth).unwrap_or_default().to_vec();
        let args = vec![
            Expr::Identifier(pos, SmolStr::new_static("set")),
            Expr::Variable(pos, variable.clone(), above),
            Expr::String(pos, key.as_str().into()),
            Expr::Pipe(pos, pipe(Vec::new(), commands, false)),
        ];
        commands = vec![CommandNode { pos, args }];
    }
    let assigned = Expr::Pipe(pos, pipe(vec![variable.clone()], commands, true));
    let value = if fields.is_empty() { assigned } else { Expr::Chain(pos, Box::new(assigned), fields.to_vec()) };
    CommandNode { pos, args: vec![value] }
}
