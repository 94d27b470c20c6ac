//! A template compiled: parsed by gotmpl, then rewritten as html/template does it. Every action's value goes to a
//! function of ours instead of the text, and where gotmpl asks whether a value is empty, it is asked of what the value
//! stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gotmpl::parse::{
    ActionNode, BranchNode, CommandNode, Expr, ListNode, Node, Number, Parser, PipeNode, Pos, SmolStr, TextNode,
};

use super::functions::assign_changes;
use super::source::{self, actions, check_blocks, without_comments};
use super::{failure, table};
use crate::logic::template::TemplateError;
use crate::logic::yaml::slot::has_reserved;

/// The name of the whole, which nothing in it can have: names in source cannot hold this character.
pub(super) const MAIN: &str = "\u{E000}";
/// Writes an action's value.
pub(super) const EMIT: &str = "!emit";
/// Makes a value that is empty one that gotmpl takes for empty.
pub(super) const TRUTH: &str = "!truth";
/// Makes a value one that `range` can go over.
pub(super) const ITEMS: &str = "!items";
/// Pays for what gotmpl does without asking anybody.
pub(super) const SPEND: &str = "!spend";
/// Notes the place.
pub(super) const NOTE: &str = "!note";

/// Nesting that gotmpl can execute; chains of `else if` nest as well.
const MAX_NESTING: usize = 150;

/// What a program is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be rendered.
    Rendering,
    /// To be rendered once more, telling on the way where it is.
    Notes,
    /// To find out whether it is Go's: what is refused is, too.
    Detection,
}

/// A template, ready to be executed.
pub(super) struct Program {
    /// Bodies by name.
    pub(super) trees: BTreeMap<String, ListNode>,
    /// Functions that are called.
    pub(super) functions: BTreeSet<SmolStr>,
    /// Bytes of source.
    pub(super) size: usize,
}

impl Program {
    /// Compiles a source.
    pub(super) fn compile(source: &str, purpose: Purpose) -> Result<Self, TemplateError> {
        let actions = actions(source);
        let (clean, comments) = without_comments(source, &actions);
        check_blocks(source, &actions)?;
        let parsed = Parser::new(&clean, "{{", "}}").and_then(Parser::parse);
        let (main, defines) = parsed.map_err(|error| failure::syntax(error, source))?;
        let mut rewriting = Rewriting {
            source,
            comments: &comments,
            purpose,
            functions: BTreeSet::new(),
            variables: Vec::new(),
            nesting: 0,
            cost: 0,
        };
        let mut trees = BTreeMap::new();
        for define in defines {
            let name = define.name.to_string();
            let is_taken = |tree: &ListNode| !tree.is_empty_tree();
            let tree = rewriting.body(define.body)?;
            if name == MAIN || trees.get(&name).is_some_and(is_taken) && is_taken(&tree) {
                let error = TemplateError::new(format!("the template {name:?} is defined twice"));
                return Err(failure::at(error, source, define.pos.offset));
            }
            // An empty definition takes nothing from another.
            if is_taken(&tree) || !trees.contains_key(&name) {
                trees.insert(name, tree);
            }
        }
        trees.insert(MAIN.to_owned(), rewriting.body(main)?);
        Ok(Self { trees, functions: rewriting.functions, size: source.len() })
    }

    /// The program with another's templates beside its own.
    pub(super) fn within(mut self, outer: &Self) -> Self {
        for (name, tree) in &outer.trees {
            self.trees.entry(name.clone()).or_insert_with(|| tree.clone());
        }
        self.functions.extend(outer.functions.iter().cloned());
        self.size += outer.size;
        self
    }
}

struct Rewriting<'a> {
    source: &'a str,
    /// Where comments were.
    comments: &'a BTreeSet<usize>,
    purpose: Purpose,
    functions: BTreeSet<SmolStr>,
    /// Names that are declared where we are.
    variables: Vec<SmolStr>,
    nesting: usize,
    /// What one way through the body costs.
    cost: u64,
}

impl Rewriting<'_> {
    fn refuse<T>(&self, reason: String, offset: usize) -> Result<T, TemplateError> {
        Err(failure::at(TemplateError::new(reason), self.source, offset))
    }

    /// The body of a template.
    fn body(&mut self, mut list: ListNode) -> Result<ListNode, TemplateError> {
        list.nodes.retain(|node| !self.is_comment(node));
        if list.is_empty_tree() {
            return Ok(list);
        }
        assign_changes(&mut list).or_else(|discarded| {
            let reason =
                format!("{} changes what is not behind a variable: give its result to one", discarded.function);
            self.refuse(reason, discarded.offset)
        })?;
        self.variables = vec!["$".into()];
        self.paid(list)
    }

    /// A list that pays for itself whenever it is gone through.
    fn paid(&mut self, list: ListNode) -> Result<ListNode, TemplateError> {
        let outer = std::mem::replace(&mut self.cost, 1);
        let pos = list.pos;
        let mut list = self.list(list)?;
        let cost = std::mem::replace(&mut self.cost, outer);
        list.nodes.insert(0, call(pos, SPEND, vec![int(pos, cost)]));
        Ok(list)
    }

    fn list(&mut self, list: ListNode) -> Result<ListNode, TemplateError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return self.refuse(format!("nested more than {MAX_NESTING} levels deep"), list.pos.offset);
        }
        let mut nodes = Vec::with_capacity(list.nodes.len());
        for node in list.nodes {
            self.node(node, &mut nodes)?;
        }
        self.nesting -= 1;
        Ok(ListNode { pos: list.pos, nodes })
    }

    fn node(&mut self, node: Node, out: &mut Vec<Node>) -> Result<(), TemplateError> {
        if self.is_comment(&node) {
            return Ok(());
        }
        self.cost += 1;
        if let (true, Some((pos, is_text))) = (self.purpose == Purpose::Notes, self.place(&node)) {
            out.push(call(pos, NOTE, vec![int(pos, pos.offset as u64), Expr::Bool(pos, is_text)]));
        }
        out.push(match node {
            Node::List(list) => Node::List(self.list(list)?),
            Node::Text(text) => Node::Text(text),
            Node::Action(action) => self.action(action)?,
            Node::If(branch) => Node::If(self.branch(branch, TRUTH)?),
            Node::With(branch) => Node::With(self.branch(branch, TRUTH)?),
            Node::Range(branch) => Node::Range(self.branch(branch, ITEMS)?),
            Node::Template(mut call) => {
                call.pipe = call.pipe.map(|pipe| self.pipe(pipe)).transpose()?;
                Node::Template(call)
            }
            // Definitions were taken out by the parser.
            node @ (Node::Define(_) | Node::Break(_) | Node::Continue(_)) => node,
        });
        Ok(())
    }

    fn action(&mut self, ActionNode { pos, pipe }: ActionNode) -> Result<Node, TemplateError> {
        // What the template says itself is its text: `{{ "{{" }}`, `{{ "\n" }}`.
        if let Some(text) = literal(&pipe) {
            return Ok(Node::Text(TextNode { pos, text }));
        }
        let mut pipe = self.pipe(pipe)?;
        if pipe.decl.is_empty() {
            pipe.commands.push(command(pos, EMIT, Vec::new()));
        }
        Ok(Node::Action(ActionNode { pos, pipe }))
    }

    fn is_comment(&self, node: &Node) -> bool {
        matches!(node, Node::Action(action) if self.comments.contains(&action.pipe.pos.offset))
    }

    /// Where a node's text or expression begins.
    fn place(&self, node: &Node) -> Option<(Pos, bool)> {
        match node {
            // The parser's place is before what was trimmed.
            Node::Text(text) => {
                let rest = self.source.get(text.pos.offset..).unwrap_or_default();
                let trimmed = if rest.starts_with(&*text.text) { 0 } else { rest.len() - rest.trim_start().len() };
                Some((Pos::new(text.pos.offset + trimmed, text.pos.line), true))
            }
            Node::Action(action) => Some((action.pipe.pos, false)),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => Some((branch.pipe.pos, false)),
            Node::Template(call) => Some((call.pos, false)),
            Node::List(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => None,
        }
    }

    fn branch(&mut self, branch: BranchNode, asks: &'static str) -> Result<BranchNode, TemplateError> {
        let BranchNode { pos, pipe, body, else_body } = branch;
        let declared = self.variables.len();
        let mut pipe = self.pipe(pipe)?;
        pipe.commands.push(command(pipe.pos, asks, Vec::new()));
        let inside = self.variables.len();
        let body = if asks == ITEMS { self.paid(body)? } else { self.list(body)? };
        self.variables.truncate(inside);
        let else_body = else_body.map(|body| self.list(body)).transpose()?;
        self.variables.truncate(declared);
        Ok(BranchNode { pos, pipe, body, else_body })
    }

    fn pipe(&mut self, mut pipe: PipeNode) -> Result<PipeNode, TemplateError> {
        let last = pipe.commands.len().saturating_sub(1);
        for (at, command) in pipe.commands.iter_mut().enumerate() {
            self.command(command, at > 0 && at <= last)?;
        }
        for name in &pipe.decl {
            match pipe.is_assign {
                true => self.variable(name, pipe.pos)?,
                false => self.variables.push(name.clone()),
            }
        }
        Ok(pipe)
    }

    fn command(&mut self, command: &mut CommandNode, is_piped: bool) -> Result<(), TemplateError> {
        self.cost += command.args.len() as u64;
        for argument in &mut command.args {
            self.expression(argument)?;
        }
        // gotmpl evaluates these itself and asks whether their operands are empty, but the last.
        let is_lazy =
            matches!(command.args.first(), Some(Expr::Identifier(_, name)) if matches!(name.as_str(), "and" | "or"));
        if is_lazy {
            let asked = command.args.len() - usize::from(!is_piped);
            for operand in command.args.get_mut(1..asked).unwrap_or_default() {
                let pos = operand.pos();
                let value = std::mem::replace(operand, Expr::Nil(pos));
                let commands = match value {
                    Expr::Pipe(_, pipe) if pipe.decl.is_empty() => pipe.commands,
                    value => vec![CommandNode { pos, args: vec![value] }],
                };
                *operand = Expr::Pipe(pos, ask(pos, commands));
            }
        }
        Ok(())
    }

    fn expression(&mut self, expression: &mut Expr) -> Result<(), TemplateError> {
        match expression {
            Expr::Identifier(pos, name) => self.function(name, *pos),
            Expr::Variable(pos, name, _) => self.variable(name, *pos),
            Expr::Chain(_, inner, _) => self.expression(inner),
            Expr::Pipe(pos, pipe) => {
                let empty = PipeNode { pos: *pos, decl: Vec::new(), commands: Vec::new(), is_assign: false };
                *pipe = self.pipe(std::mem::replace(pipe, empty))?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn function(&mut self, name: &SmolStr, pos: Pos) -> Result<(), TemplateError> {
        match table::find(name) {
            Some(table::Function::Refused(reason)) if self.purpose != Purpose::Detection => {
                self.refuse(format!("{name} {reason}"), pos.offset)
            }
            Some(_) => {
                self.functions.insert(name.clone());
                Ok(())
            }
            None => self.refuse(format!("there is no function {name}"), pos.offset),
        }
    }

    fn variable(&self, name: &SmolStr, pos: Pos) -> Result<(), TemplateError> {
        match self.variables.contains(name) {
            true => Ok(()),
            false => self.refuse(format!("undefined variable {name}"), pos.offset),
        }
    }
}

/// The string that a pipeline is, if it is nothing else.
fn literal(pipe: &PipeNode) -> Option<Arc<str>> {
    match (pipe.decl.as_slice(), pipe.commands.as_slice()) {
        ([], [command]) => match command.args.as_slice() {
            [Expr::String(_, text)] if !has_reserved(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Commands whose value is asked whether it is empty.
fn ask(pos: Pos, mut commands: Vec<CommandNode>) -> PipeNode {
    commands.push(command(pos, TRUTH, Vec::new()));
    PipeNode { pos, decl: Vec::new(), commands, is_assign: false }
}

fn command(pos: Pos, name: &'static str, mut args: Vec<Expr>) -> CommandNode {
    args.insert(0, Expr::Identifier(pos, SmolStr::new_static(name)));
    CommandNode { pos, args }
}

/// An action that calls a function and writes nothing.
fn call(pos: Pos, name: &'static str, args: Vec<Expr>) -> Node {
    let commands = vec![command(pos, name, args)];
    Node::Action(ActionNode { pos, pipe: PipeNode { pos, decl: Vec::new(), commands, is_assign: false } })
}

fn int(pos: Pos, value: u64) -> Expr {
    Expr::Number(pos, Number::Int(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// Whether an action, braces and all, parses as Go's, with functions that there are.
pub(in crate::logic::template) fn parses(action: &str) -> bool {
    source::actions(action).len() == 1 && Program::compile(action, Purpose::Detection).is_ok()
}
