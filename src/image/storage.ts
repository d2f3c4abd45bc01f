/**
 * In which form new layers are stored: `--storage` (TSRUN_STORAGE), else `"storage"` of the settings files (the user's before
 * the system's), else what this kernel and the data root's filesystem allow.
 */
import { readFileSync } from 'node:fs';
import { TsrunError } from '../error.ts';
import { configPaths } from '../linux/paths.ts';
import { probeErofs } from './erofs/probe.ts';
import { errorCode } from './errors.ts';
import { parseJson } from './json.ts';
import type { LayerFormName } from './unpack/layer-form.ts';

export interface StorageChoice {
  form: LayerFormName;
  /** Why it is not the other one: a setting, or what the kernel cannot. */
  why: string;
}

const names: readonly LayerFormName[] = ['erofs', 'unpacked'];

/** Throws `USAGE` for a setting that is none, `UNSUPPORTED` for one that this machine cannot follow. */
export function chooseStorage(root: string): StorageChoice {
  const setting = storageSetting();
  if (setting?.form === 'unpacked') return { form: 'unpacked', why: `set by ${setting.origin}` };
  const probe = probeErofs(root);
  if (probe.works) return { form: 'erofs', why: setting === undefined ? '' : `set by ${setting.origin}` };
  if (setting === undefined) return { form: 'unpacked', why: probe.reason };
  throw new TsrunError('UNSUPPORTED', `the store cannot use erofs here: ${probe.reason}`, {
    hint: `${setting.origin} asks for it; without that layers are unpacked`,
  });
}

function storageSetting(): { form: LayerFormName; origin: string } | undefined {
  const variable = process.env.TSRUN_STORAGE;
  if (variable) return { form: parseForm(variable, 'TSRUN_STORAGE'), origin: '--storage or TSRUN_STORAGE' };
  for (const path of configPaths().toReversed()) {
    const text = readSettings(path);
    if (text === undefined) continue;
    const value = parseJson(text, { name: `"${path}"`, code: 'USAGE' }).get('storage');
    if (!value.absent) return { form: parseForm(value.string(), `"${path}"`), origin: `"${path}"` };
  }
  return undefined;
}

function readSettings(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT' || errorCode(cause) === 'ENOTDIR') return undefined;
    throw new TsrunError('USAGE', `cannot read "${path}"`, { cause });
  }
}

function parseForm(text: string, origin: string): LayerFormName {
  const form = names.find((name) => name === text);
  if (form !== undefined) return form;
  throw new TsrunError('USAGE', `${origin}: there is no storage ${JSON.stringify(text)}`, {
    hint: `there are ${names.join(' and ')}`,
  });
}
