/** A template that does not parse, or does not fit the data; the message is text/template's. */
export class TemplateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TemplateError';
  }
}
