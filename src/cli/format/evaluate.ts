/** Runs a parsed template on data (the semantics of Go's text/template). */
import { TemplateError } from './error.ts';
import type { TemplateFunction } from './functions.ts';
import type { Command, Node, Operand, Pipeline, Place, Template } from './parser.ts';
import {
  display,
  GoMap,
  isList,
  isStruct,
  isTrue,
  noValue,
  omitted,
  type Struct,
  typeName,
  type Value,
} from './value.ts';

export interface EvaluateOptions {
  functions: ReadonlyMap<string, TemplateFunction>;
  /** How the message for a field that a struct has not ends, from the field's name. */
  missingField: (field: string) => string;
}

interface Variable {
  name: string;
  value: Value;
}

type Flow = 'next' | 'break' | 'continue';

/** How deep {{template}} may call itself. */
const maxDepth = 1000;

/** Thrown by what has no place yet; `at` gives it one. */
class Failure extends Error {}

/** Applies `template` to `data`. Throws `TemplateError` with text/template's words. */
export function evaluate(template: Template, data: Value, options: EvaluateOptions): string {
  return new Evaluator(template, options).run(data);
}

/**
 * Docker's templates find fields by their names in JSON (`Id`, `HostIp`) and by those that Go gives them (`ID`, `HostIP`),
 * which differ in acronyms only.
 */
function findField(struct: Struct, name: string): { value: Value } | undefined {
  if (Object.hasOwn(struct, name)) return { value: struct[name] ?? null };
  const hidden = struct[omitted] ?? {};
  if (Object.hasOwn(hidden, name)) return { value: hidden[name] ?? null };
  if (!/^[A-Z]/.test(name)) return undefined;
  const field = Object.keys(struct).find((each) => each.toLowerCase() === name.toLowerCase());
  return field === undefined ? undefined : { value: struct[field] ?? null };
}

class Evaluator {
  private output = '';
  private depth = 0;
  private variables: Variable[] = [];
  private readonly template: Template;
  private readonly options: EvaluateOptions;

  constructor(template: Template, options: EvaluateOptions) {
    this.template = template;
    this.options = options;
  }

  run(data: Value): string {
    this.variables = [{ name: '$', value: data }];
    this.nodes(this.template.nodes, data);
    return this.output;
  }

  private fail(place: Place, message: string): never {
    const before = this.template.source.slice(0, place.position);
    const line = before.split('\n').length;
    const column = place.position - (before.lastIndexOf('\n') + 1);
    const { name } = this.template;
    throw new TemplateError(
      `template: ${name}:${line}:${column}: executing ${JSON.stringify(name)} at <${place.source}>: ${message}`,
    );
  }

  private nodes(nodes: readonly Node[], dot: Value): Flow {
    for (const node of nodes) {
      const flow = this.node(node, dot);
      if (flow !== 'next') return flow;
    }
    return 'next';
  }

  private node(node: Node, dot: Value): Flow {
    if (node.kind === 'text') {
      this.output += node.text;
    } else if (node.kind === 'action') {
      const value = this.pipeline(node.pipeline, dot);
      if (node.pipeline.variables.length === 0) this.output += display(value);
    } else if (node.kind === 'template') {
      this.call(node, dot);
    } else if (node.kind === 'break' || node.kind === 'continue') {
      return node.kind;
    } else {
      const visible = this.variables.length;
      const flow = node.kind === 'range' ? this.range(node, dot) : this.choose(node, dot);
      this.variables.length = visible;
      return flow;
    }
    return 'next';
  }

  private choose(node: Node & { kind: 'if' | 'with' | 'range' }, dot: Value): Flow {
    const value = this.pipeline(node.pipeline, dot);
    if (isTrue(value)) return this.nodes(node.body, node.kind === 'with' ? value : dot);
    return this.nodes(node.otherwise, dot);
  }

  private range(node: Node & { kind: 'if' | 'with' | 'range' }, dot: Value): Flow {
    const { pipeline } = node;
    // The variables belong to each round, and are set there.
    const value = this.pipeline({ ...pipeline, variables: [] }, dot);
    const entries = this.entries(value, pipeline);
    if (entries.length === 0) return this.nodes(node.otherwise, dot);
    const visible = this.variables.length;
    for (const [key, element] of entries) {
      const [first, second] = pipeline.variables;
      if (second !== undefined) {
        this.declare(first ?? '', key, pipeline.assigns);
        this.declare(second, element, pipeline.assigns);
      } else if (first !== undefined) {
        this.declare(first, element, pipeline.assigns);
      }
      const flow = this.nodes(node.body, element);
      this.variables.length = visible;
      if (flow === 'break') break;
    }
    return 'next';
  }

  private entries(value: Value, place: Place): [Value, Value][] {
    if (isList(value)) return value.map((element, index) => [index, element]);
    if (value instanceof GoMap) return [...value.entries];
    if (value === noValue) return [];
    if (isStruct(value)) {
      const fields = Object.entries(value).filter(([, field]) => typeof field !== 'function');
      return fields.sort(([a], [b]) => (a < b ? -1 : 1));
    }
    this.fail(place, `range can't iterate over ${display(value)}`);
  }

  private call(node: Node & { kind: 'template' }, dot: Value): void {
    const nodes = this.template.definitions.get(node.name);
    if (nodes === undefined) this.fail(node, `template ${JSON.stringify(node.name)} not defined`);
    const value = node.pipeline === undefined ? null : this.pipeline(node.pipeline, dot);
    if (++this.depth > maxDepth) this.fail(node, `exceeded maximum template depth (${maxDepth})`);
    const outer = this.variables;
    this.variables = [{ name: '$', value }];
    this.nodes(nodes, value);
    this.variables = outer;
    this.depth--;
  }

  private declare(name: string, value: Value, assigns: boolean): void {
    if (!assigns) {
      this.variables.push({ name, value });
      return;
    }
    const variable = this.variables.findLast((candidate) => candidate.name === name);
    if (variable !== undefined) variable.value = value;
  }

  private pipeline(pipeline: Pipeline, dot: Value): Value {
    let value: Value = noValue;
    pipeline.commands.forEach((command, index) => {
      value = this.command(command, dot, index === 0 ? undefined : { value });
    });
    for (const name of pipeline.variables) this.declare(name, value, pipeline.assigns);
    return value;
  }

  /** `piped` is the result of the command before the pipe: the last argument. */
  private command(command: Command, dot: Value, piped: { value: Value } | undefined): Value {
    const [first, ...rest] = command.operands;
    const args = (): Value[] => {
      const values = rest.map((operand) => this.operand(operand, dot));
      if (piped !== undefined) values.push(piped.value);
      return values;
    };
    if (first.kind === 'function') return this.function(first.name, command, first, rest, dot, piped);
    const many = rest.length > 0 || piped !== undefined;
    if (first.kind === 'field') return this.fields(dot, first.names, first, many ? args : undefined);
    if (first.kind === 'variable' && first.names.length > 0) {
      return this.fields(this.variable(first.name), first.names, first, many ? args : undefined);
    }
    if (first.kind === 'nil') this.fail(first, 'nil is not a command');
    if (many) this.fail(first, `can't give argument to non-function ${first.source}`);
    return this.operand(first, dot);
  }

  private function(
    name: string,
    command: Place,
    word: Place,
    operands: readonly Operand[],
    dot: Value,
    piped: { value: Value } | undefined,
  ): Value {
    const made = this.options.functions.get(name);
    if (made === undefined) this.fail(word, `${JSON.stringify(name)} is not a defined function`);
    const count = operands.length + (piped === undefined ? 0 : 1);
    if (count < made.min || (made.max !== undefined && count > made.max)) {
      const want = made.min === made.max ? String(made.min) : `at least ${made.min}`;
      this.fail(word, `wrong number of args for ${name}: want ${want} got ${count}`);
    }
    const values: Value[] = [];
    for (const operand of operands) {
      const value = this.operand(operand, dot);
      values.push(value);
      // `and` and `or` look no further than they need.
      if (made.stopsAt?.(value)) return value;
    }
    if (piped !== undefined) values.push(piped.value);
    for (const [index, value] of values.entries()) {
      const problem = made.parameter?.(value, index);
      if (problem !== undefined) this.fail(operands[index] ?? command, problem);
    }
    try {
      return made.call(values);
    } catch (error) {
      if (error instanceof TemplateError) throw error;
      this.fail(command, `error calling ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  private operand(operand: Operand, dot: Value): Value {
    switch (operand.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return null;
      case 'constant':
        return operand.value;
      case 'field':
        return this.fields(dot, operand.names, operand, undefined);
      case 'variable':
        return this.fields(this.variable(operand.name), operand.names, operand, undefined);
      case 'chain':
        return this.fields(this.pipeline(operand.pipeline, dot), operand.names, operand, undefined);
      case 'function':
        return this.function(operand.name, operand, operand, [], dot, undefined);
    }
  }

  private variable(name: string): Value {
    return this.variables.findLast((candidate) => candidate.name === name)?.value ?? null;
  }

  /** `.A.B.C`; arguments are for the last of them. */
  private fields(start: Value, names: readonly string[], place: Place, args: (() => Value[]) | undefined): Value {
    let value = start;
    names.forEach((name, index) => {
      const last = index === names.length - 1;
      // Docker tries again with what JSON has, and there the field that is nil is none.
      const before = names[index - 1];
      try {
        if (value === null && before !== undefined) throw new Failure(this.options.missingField(before));
        value = this.field(value, name, last ? args : undefined);
      } catch (error) {
        if (error instanceof Failure) this.fail(place, error.message);
        throw error;
      }
    });
    return value;
  }

  private field(receiver: Value, name: string, args: (() => Value[]) | undefined): Value {
    if (receiver === noValue) return noValue;
    if (receiver === null) throw new Failure(`nil pointer evaluating interface {}.${name}`);
    let value: Value;
    if (receiver instanceof GoMap) {
      value = receiver.entries.get(name) ?? noValue;
    } else if (isStruct(receiver)) {
      const found = findField(receiver, name);
      if (found === undefined) throw new Failure(this.options.missingField(name));
      value = found.value;
    } else {
      throw new Failure(`can't evaluate field ${name} in type ${typeName(receiver)}`);
    }
    if (typeof value === 'function') {
      const values = args?.() ?? [];
      if (values.length !== value.length) {
        throw new Failure(`wrong number of args for ${name}: want ${value.length} got ${values.length}`);
      }
      return value(...values);
    }
    if (args !== undefined) throw new Failure(`${name} has arguments but cannot be invoked as function`);
    return value;
  }
}
