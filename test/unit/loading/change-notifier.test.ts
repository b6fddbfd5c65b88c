import { expect, test } from 'vitest';
import { createChangeNotifier } from '../../../src/loading/change-notifier.ts';

test('everybody who waits is told of the next change', async () => {
  const news = createChangeNotifier();
  const waiting = Promise.all([news.next(60_000), news.next(60_000)]);
  news.tell();
  await waiting;
});

test('nobody waits longer than the time', async () => {
  const news = createChangeNotifier();
  news.tell();
  await expect(news.next(1)).resolves.toBeUndefined();
});
