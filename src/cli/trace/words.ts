/** The short words of a trace, in each language: who took a step, its phase, and what stands around the sums. */
import type { Side } from '../../container/explain/explanation.ts';
import type { Phase } from '../../trace.ts';
import type { Language } from '../options/language.ts';

export interface TraceWords {
  sides: Record<Side, string>;
  phases: Record<Phase, string>;
  tolerated: string;
  failed: string;
  phase: string;
  steps: string;
  host: string;
  program: string;
  total: string;
  /** `%s` is the time. */
  until: string;
}

export const traceWords: Record<Language, TraceWords> = {
  en: {
    sides: { command: 'command', monitor: 'monitor', container: 'container', cleanup: 'cleanup' },
    phases: {
      ...{ image: 'image', rootfs: 'rootfs', cgroup: 'cgroup', network: 'network', monitor: 'monitor' },
      ...{ namespaces: 'namespaces', mounts: 'mounts', devices: 'devices', console: 'console' },
      ...{ identity: 'identity', security: 'security', exec: 'exec', teardown: 'teardown' },
    },
    tolerated: 'tolerated',
    failed: 'failed',
    ...{ phase: 'phase', steps: 'steps', host: 'host ms', program: 'program ms', total: 'total' },
    until: '%s ms from the start of tsrun until the command ran',
  },
  ru: {
    sides: { command: 'команда', monitor: 'монитор', container: 'контейнер', cleanup: 'уборка' },
    phases: {
      ...{ image: 'образ', rootfs: 'корень', cgroup: 'cgroup', network: 'сеть', monitor: 'монитор' },
      ...{ namespaces: 'пр. имён', mounts: 'монтир.', devices: 'устройства', console: 'консоль' },
      ...{ identity: 'личность', security: 'защита', exec: 'запуск', teardown: 'конец' },
    },
    tolerated: 'допустимо',
    failed: 'не удалось',
    ...{ phase: 'этап', steps: 'шагов', host: 'хост, мс', program: 'прогр., мс', total: 'всего' },
    until: '%s мс от запуска tsrun до запуска команды',
  },
};
