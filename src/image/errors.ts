/** What went wrong on the way to a registry or in the store's files, told as the errors that users see. */
import { type ErrorCode, TsrunError, type TsrunErrorOptions } from '../error.ts';

/** The `code` of a Node error: `ECONNREFUSED`, `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export interface RequestErrorOptions extends TsrunErrorOptions {
  /** Another attempt may go well. */
  transient?: boolean;
  /** The status of the answer, where there was one. */
  status?: number;
  /** Milliseconds that the server asks to wait. */
  retryAfter?: number | undefined;
  /** Node's code of the failure: `CERT_HAS_EXPIRED`. */
  reason?: string | undefined;
}

/** A request that failed, with what decides whether and where to try again. */
export class RequestError extends TsrunError {
  readonly transient: boolean;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;
  readonly reason: string | undefined;

  constructor(code: ErrorCode, message: string, options: RequestErrorOptions = {}) {
    super(code, message, options);
    this.name = 'RequestError';
    this.transient = options.transient ?? false;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.reason = options.reason;
  }
}

/** The error of a user's Ctrl-C. */
export function interrupted(): TsrunError {
  return new TsrunError('INTERRUPTED', 'interrupted', {
    hint: 'layers that were complete are kept: pull again to go on',
    exitCode: 130,
  });
}

/** Throws `INTERRUPTED` when the signal was given. */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw interrupted();
}

/** An error of the file system while the store was written, with what to do where the disk is full. */
export function storeError(error: unknown, action: string): unknown {
  if (error instanceof TsrunError && error.code !== 'NO_SPACE') return error;
  const code = errorCode(error);
  const full = code === 'ENOSPC' || code === 'EDQUOT' || (error instanceof TsrunError && error.code === 'NO_SPACE');
  if (full) {
    return new TsrunError('NO_SPACE', `${action}: no space left on the device`, {
      cause: error,
      hint: 'remove images with `tsrun rmi`, or set TSRUN_ROOT to a directory on a larger filesystem',
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const hint =
      code === 'EROFS'
        ? 'the filesystem is read-only: set TSRUN_ROOT elsewhere'
        : 'run as root (sudo), or set TSRUN_ROOT';
    return new TsrunError('PERMISSION', `${action}: ${code}`, { cause: error, hint });
  }
  // Without a code it is no answer of the system's but a mistake of ours.
  return code === undefined ? error : new TsrunError('SYSCALL', `${action}: ${code}`, { cause: error });
}

/** TLS failures by what to do about them. */
function tlsHint(reason: string, host: string): string | undefined {
  if (reason === 'CERT_HAS_EXPIRED' || reason === 'CERT_NOT_YET_VALID')
    return "compare this machine's clock with the certificate's dates";
  if (reason === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'the certificate belongs to another name: check the name of the registry';
  if (/SELF_SIGNED|UNABLE_TO|ISSUER|UNTRUSTED/.test(reason)) {
    return `put the certificate of its authority in /etc/docker/certs.d/${host}/ca.crt`;
  }
  return undefined;
}

/** The error for a connection to `url` that failed with `error`: what was tried, what the network answered, what to do. */
export function connectionError(error: unknown, url: URL): RequestError {
  if (error instanceof RequestError) return error;
  const reason = errorCode(error) ?? '';
  const text = error instanceof Error ? error.message : String(error);
  const failed = (why: string, hint?: string, transient = false): RequestError =>
    new RequestError('NETWORK', `cannot reach ${url.host}: ${why}`, { cause: error, hint, transient, reason });

  switch (reason) {
    case 'ENOTFOUND':
      return failed('no such host', "check the name and this machine's DNS, or name a mirror in TSRUN_MIRRORS");
    case 'EAI_AGAIN':
      return failed('the name server does not answer', 'check /etc/resolv.conf and the network');
    case 'ECONNREFUSED':
      return failed('connection refused', 'nothing listens there: check host and port');
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENETDOWN':
      return failed('no route to it', 'check the network (ip route)');
    case 'ETIMEDOUT':
      return failed('it does not answer (timeout)', 'check the network and any firewall on the way', true);
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return failed('the connection was broken off', undefined, true);
  }
  if (reason.startsWith('HPE_')) return failed(`its answer is not HTTP (${reason})`);
  if (reason.startsWith('ERR_SSL') || reason === 'EPROTO') {
    return failed(
      `no TLS there (${text})`,
      `if it speaks plain http, name it in the settings: {"insecure": ["${url.host}"]}`,
    );
  }
  const hint = tlsHint(reason, url.host);
  if (hint !== undefined) return failed(`its certificate is not trusted (${reason})`, hint);
  return failed(text === '' ? reason : text);
}
