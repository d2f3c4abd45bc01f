/** Parses the pieces of a template into a tree (the grammar of Go's text/template). */
import { TemplateError } from './error.ts';
import { lineOf, type Piece, type Token, tokenize } from './lexer.ts';

/** Where a node stands, for messages: the position Go names, and the node as it was written. */
export interface Place {
  position: number;
  source: string;
}

export type Operand = Place &
  (
    | { kind: 'dot' }
    | { kind: 'nil' }
    | { kind: 'constant'; value: string | number | boolean }
    | { kind: 'field'; names: string[] }
    | { kind: 'variable'; name: string; names: string[] }
    | { kind: 'function'; name: string }
    /** `(pipeline).Field.Field` */
    | { kind: 'chain'; pipeline: Pipeline; names: string[] }
  );

export interface Command extends Place {
  operands: [Operand, ...Operand[]];
}

export interface Pipeline extends Place {
  variables: string[];
  /** `=` instead of `:=`: the variables exist already. */
  assigns: boolean;
  commands: Command[];
}

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipeline: Pipeline }
  | { kind: 'if' | 'with' | 'range'; pipeline: Pipeline; body: Node[]; otherwise: Node[] }
  | ({ kind: 'template'; name: string; pipeline: Pipeline | undefined } & Place)
  | { kind: 'break' }
  | { kind: 'continue' };

export interface Template {
  name: string;
  source: string;
  nodes: Node[];
  /** Of {{define}}. */
  definitions: Map<string, Node[]>;
}

/**
 * Parses `source`. `functions` are the names that it may call.
 * Throws `TemplateError`: `template: NAME:LINE: …`.
 */
export function parseTemplate(source: string, name: string, functions: ReadonlySet<string>): Template {
  return new TemplateParser(source, name, functions).parse();
}

const keywords = new Set(['if', 'else', 'end', 'range', 'with', 'define', 'block', 'template', 'break', 'continue']);

class TemplateParser {
  private readonly pieces: Piece[];
  private readonly definitions = new Map<string, Node[]>();
  private piece = 0;
  private readonly variables: string[] = ['$'];
  private loops = 0;
  private readonly source: string;
  private readonly name: string;
  private readonly functions: ReadonlySet<string>;

  constructor(source: string, name: string, functions: ReadonlySet<string>) {
    this.source = source;
    this.name = name;
    this.functions = functions;
    this.pieces = tokenize(source, name);
  }

  parse(): Template {
    const { nodes, ended } = this.list();
    if (ended !== undefined) this.fail(ended.start, `unexpected {{${ended.source}}}`);
    return { name: this.name, source: this.source, nodes, definitions: this.definitions };
  }

  private fail(position: number, message: string): never {
    throw new TemplateError(`template: ${this.name}:${lineOf(this.source, position)}: ${message}`);
  }

  /** Nodes up to {{end}}, {{else}} or the end of the template; answers the word that ended them. */
  private list(): { nodes: Node[]; ended: Token | undefined; rest: Token[] } {
    const nodes: Node[] = [];
    for (;;) {
      const piece = this.pieces[this.piece++];
      if (piece === undefined) return { nodes, ended: undefined, rest: [] };
      if (piece.kind === 'text') {
        nodes.push({ kind: 'text', text: piece.text });
        continue;
      }
      const [first, ...rest] = piece.tokens;
      if (first?.kind === 'word' && (first.text === 'end' || first.text === 'else')) {
        return { nodes, ended: first, rest };
      }
      const node = this.action(piece, first, rest);
      if (node !== undefined) nodes.push(node);
    }
  }

  private action(piece: Piece & { kind: 'action' }, first: Token | undefined, rest: Token[]): Node | undefined {
    if (first === undefined) this.fail(piece.start, 'missing value for command');
    if (first.kind === 'word') {
      if (first.text === 'if' || first.text === 'with' || first.text === 'range') return this.control(first, rest);
      if (first.text === 'define' || first.text === 'block') return this.definition(first, rest);
      if (first.text === 'template') return this.template(first, rest);
      if (first.text === 'break' || first.text === 'continue') {
        if (this.loops === 0) this.fail(first.start, `{{${first.text}}} outside {{range}}`);
        return { kind: first.text };
      }
    }
    return { kind: 'action', pipeline: this.pipeline([first, ...rest], 'command') };
  }

  private pipeline(tokens: Token[], context: string): Pipeline {
    const parser = new PipelineParser(tokens, this.source, this.functions, this.variables, (position, message): never =>
      this.fail(position, message),
    );
    return parser.parse(context);
  }

  private control(word: Token, tokens: Token[]): Node {
    const kind = word.text as 'if' | 'with' | 'range';
    const visible = this.variables.length;
    if (tokens.length === 0) this.fail(word.start, `missing value for ${kind}`);
    const pipeline = this.pipeline(tokens, kind);
    if (kind === 'range') this.loops++;
    const body = this.list();
    if (kind === 'range') this.loops--;
    let otherwise: Node[] = [];
    if (body.ended?.text === 'else') {
      const [next, ...behind] = body.rest;
      if (next?.kind === 'word' && next.text === kind && kind !== 'range') {
        // {{else if}} is an {{if}} inside the {{else}}, with the same {{end}}.
        otherwise = [this.control(next, behind)];
      } else {
        if (next !== undefined) this.fail(next.start, `unexpected ${JSON.stringify(next.source)} in else`);
        const tail = this.list();
        if (tail.ended === undefined) this.fail(this.source.length, 'unexpected EOF');
        if (tail.ended.text !== 'end') this.fail(tail.ended.start, 'expected end; found {{else}}');
        otherwise = tail.nodes;
      }
    } else if (body.ended === undefined) {
      this.fail(this.source.length, 'unexpected EOF');
    }
    this.variables.length = visible;
    return { kind, pipeline, body: body.nodes, otherwise };
  }

  private definition(word: Token, tokens: Token[]): Node | undefined {
    const [title, ...rest] = tokens;
    if (title?.kind !== 'string') this.fail(word.start, `unexpected ${title?.source ?? '}}'} in ${word.text} clause`);
    const pipeline = word.text === 'block' ? this.pipeline(rest, 'block clause') : undefined;
    const visible = this.variables.splice(1);
    const body = this.list();
    this.variables.push(...visible);
    if (body.ended?.text !== 'end') this.fail(this.source.length, 'unexpected EOF');
    this.definitions.set(title.text, body.nodes);
    if (word.text === 'define') return undefined;
    return { kind: 'template', name: title.text, pipeline, position: title.start, source: title.source };
  }

  private template(word: Token, tokens: Token[]): Node {
    const [title, ...rest] = tokens;
    if (title?.kind !== 'string') this.fail(word.start, `unexpected ${title?.source ?? '}}'} in template clause`);
    const pipeline = rest.length === 0 ? undefined : this.pipeline(rest, 'template clause');
    return {
      kind: 'template',
      name: title.text,
      pipeline,
      position: title.start,
      source: `{{template ${title.source}}}`,
    };
  }
}

class PipelineParser {
  private at = 0;
  private readonly tokens: Token[];
  private readonly source: string;
  private readonly functions: ReadonlySet<string>;
  private readonly variables: string[];
  private readonly fail: (position: number, message: string) => never;

  constructor(
    tokens: Token[],
    source: string,
    functions: ReadonlySet<string>,
    variables: string[],
    fail: (position: number, message: string) => never,
  ) {
    this.tokens = tokens;
    this.source = source;
    this.functions = functions;
    this.variables = variables;
    this.fail = fail;
  }

  parse(context: string): Pipeline {
    const { declared, assigns } = this.declaration(context);
    const pipeline = this.commands(context, false);
    // Only now: a variable is not visible in its own value.
    if (!assigns) this.variables.push(...declared);
    return { ...pipeline, variables: declared, assigns };
  }

  /** `$x :=`, `$x =`, and in range `$index, $element :=`. */
  private declaration(context: string): { declared: string[]; assigns: boolean } {
    const [first, second, third, fourth] = this.tokens;
    if (first?.kind === 'variable' && (second?.kind === 'declare' || second?.kind === 'assign')) {
      if (second.kind === 'assign') this.known(first);
      this.at = 2;
      return { declared: [first.text], assigns: second.kind === 'assign' };
    }
    if (first?.kind === 'variable' && second?.kind === 'comma' && third?.kind === 'variable') {
      if (context !== 'range') this.fail(first.start, `too many declarations in ${context}`);
      if (fourth?.kind !== 'declare' && fourth?.kind !== 'assign') {
        this.fail(third.end, 'range can only initialize variables');
      }
      this.at = 4;
      return { declared: [first.text, third.text], assigns: fourth.kind === 'assign' };
    }
    return { declared: [], assigns: false };
  }

  private known(token: Token): void {
    if (!this.variables.includes(token.text)) {
      this.fail(token.start, `undefined variable ${JSON.stringify(token.text)}`);
    }
  }

  private commands(context: string, inParentheses: boolean): Pipeline {
    const commands: Command[] = [];
    const start = this.tokens[this.at]?.start ?? this.source.length;
    for (;;) {
      const token = this.tokens[this.at];
      if (token === undefined || (token.kind === 'close' && inParentheses)) break;
      const command = this.command(context);
      commands.push(command);
      if (commands.length > 1 && !isCallable(command.operands[0])) {
        this.fail(command.position, `non executable command in pipeline stage ${commands.length}`);
      }
      // As in Go, nothing need follow the last pipe.
      if (this.tokens[this.at]?.kind === 'pipe') this.at++;
    }
    if (inParentheses && this.tokens[this.at] === undefined) this.fail(start, 'unclosed left paren');
    if (commands.length === 0) this.fail(start, `missing value for ${context}`);
    const end = this.tokens[this.at - 1]?.end ?? start;
    return { variables: [], assigns: false, commands, position: start, source: this.source.slice(start, end) };
  }

  private command(context: string): Command {
    const operands: Operand[] = [];
    const start = this.tokens[this.at]?.start ?? 0;
    for (;;) {
      const token = this.tokens[this.at];
      if (token === undefined || token.kind === 'pipe' || token.kind === 'close') break;
      if (operands.length > 0 && !token.spaced && token.kind !== 'open') {
        this.fail(token.start, `unexpected ${JSON.stringify(token.source)} in operand`);
      }
      operands.push(this.operand(token, context));
    }
    const closing = this.tokens[this.at];
    const [first, ...rest] = operands;
    if (first === undefined) {
      if (closing?.kind === 'close') this.fail(closing.start, 'unexpected right paren');
      this.fail(start, `missing value for ${context}`);
    }
    const end = this.tokens[this.at - 1]?.end ?? start;
    return { operands: [first, ...rest], position: start, source: this.source.slice(start, end) };
  }

  private operand(token: Token, context: string): Operand {
    this.at++;
    const place = { position: token.start, source: token.source };
    if (token.kind === 'string') return { kind: 'constant', value: token.text, ...place };
    if (token.kind === 'number') return { kind: 'constant', value: Number(token.text), ...place };
    if (token.kind === 'dot') return { kind: 'dot', ...place };
    if (token.kind === 'field') {
      const more = this.fields();
      return { kind: 'field', names: [token.text, ...more.names], ...this.span(token, more) };
    }
    if (token.kind === 'variable') {
      this.known(token);
      const more = this.fields();
      return { kind: 'variable', name: token.text, names: more.names, ...this.span(token, more) };
    }
    if (token.kind === 'open') return this.parenthesized(token, context);
    if (token.kind === 'word') return this.word(token);
    if (token.kind === 'close') this.fail(token.start, 'unexpected right paren');
    this.fail(token.start, `unexpected ${JSON.stringify(token.source)} in ${context}`);
  }

  private word(token: Token): Operand {
    const place = { position: token.start, source: token.source };
    if (token.text === 'true' || token.text === 'false') {
      return { kind: 'constant', value: token.text === 'true', ...place };
    }
    if (token.text === 'nil') return { kind: 'nil', ...place };
    if (keywords.has(token.text)) this.fail(token.start, `unexpected <${token.text}> in command`);
    if (!this.functions.has(token.text)) {
      this.fail(token.start, `function ${JSON.stringify(token.text)} not defined`);
    }
    return { kind: 'function', name: token.text, ...place };
  }

  private parenthesized(open: Token, context: string): Operand {
    const pipeline = this.commands(context, true);
    const close = this.tokens[this.at++];
    const more = this.fields();
    return { kind: 'chain', pipeline, names: more.names, ...this.span(open, more, close?.end) };
  }

  /** `.A.B` directly behind an operand. */
  private fields(): Fields {
    const found: Fields = { names: [], first: undefined, last: undefined };
    for (let token = this.tokens[this.at]; token?.kind === 'field' && !token.spaced; token = this.tokens[this.at]) {
      found.names.push(token.text);
      found.first ??= token;
      found.last = token;
      this.at++;
    }
    return found;
  }

  /** Go takes the second part of a chain for its position, and the whole chain for its text. */
  private span(first: Token, more: Fields, end = first.end): Place {
    return { position: (more.first ?? first).start, source: this.source.slice(first.start, more.last?.end ?? end) };
  }
}

interface Fields {
  names: string[];
  first: Token | undefined;
  last: Token | undefined;
}

function isCallable(operand: Operand): boolean {
  return operand.kind !== 'constant' && operand.kind !== 'dot' && operand.kind !== 'nil';
}
