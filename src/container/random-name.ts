/** Names for containers that got none: an adjective and somebody to whom operating systems or networks owe something. */
import { randomBelow } from '../linux/random.ts';

const adjectives =
  'able agile amber ample apt blithe bold brave brief bright brisk calm candid clear clever cosy crisp curious deft eager early fair fine fleet fond frank free fresh gentle glad grand happy hardy humble jolly keen kind lively lucid mellow merry mild modest neat nimble noble patient plain polite proud quick quiet ready robust sharp silent sincere sleek sly smart snug sober solid steady still sunny supple swift tidy vivid warm wise witty'.split(
    ' ',
  );
const people =
  'allen allman baran bechtolsheim bell berners bernstein boole brooks cerf clark cocke codd corbato crocker daley davies dennis dijkstra diffie engelbart estridge feinler floyd gosling gray hamilton hamming hellman hoare hopper huffman hunt jacobson johnson joy kahn karels kay keldysh kernighan kilburn kildall kleene knuth lamport lampson lebedev liskov lovelace mccarthy mcilroy mckusick merkle metcalfe moolenaar mockapetris naur needham ossanna perlman pike postel quarterman rashid ritchie roberts rivest saltzer schroeder shannon stevens stroustrup sutherland tanenbaum thacker thompson torvalds turing wheeler wilkes wirth'.split(
    ' ',
  );

function pick(words: readonly string[]): string {
  return words[randomBelow(words.length)] ?? '';
}

/** `brisk_ritchie`; with a digit behind it after some tries, when names have become rare. */
export function randomName(attempt: number): string {
  return `${pick(adjectives)}_${pick(people)}${attempt > 3 ? randomBelow(10 ** Math.min(attempt - 3, 6)) : ''}`;
}
