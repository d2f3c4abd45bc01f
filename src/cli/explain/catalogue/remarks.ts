/** What is to be known beside the steps. */
import type { Entry } from './entry.ts';

export const remarks: readonly Entry[] = [
  [
    'this machine does not offer the controller {1}: the real run would refuse',
    'эта машина не предлагает контроллер {1}: настоящий run отказался бы',
  ],
  ['the container does not run: there is nothing to stop', 'контейнер не выполняется: останавливать нечего'],
];
