import { expect, test } from 'vitest';
import { createRuleNews } from '../../../src/loading/change-notifier.ts';

test('everybody who waits is told of the next change', async () => {
  const news = createRuleNews();
  const waiting = Promise.all([news.next(60_000), news.next(60_000)]);
  news.tell();
  await waiting;
});

test('nobody waits longer than the time', async () => {
  const news = createRuleNews();
  news.tell();
  await expect(news.next(1)).resolves.toBeUndefined();
});
