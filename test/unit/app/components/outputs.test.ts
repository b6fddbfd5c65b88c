/** Tests the messages about log lines and audit records that were lost. */
import { expect, test } from 'vitest';
import { type Logger, reportDelivery, reportLostLines, reportUnwritten } from '../../../../src/app/components/outputs.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

test.each([
  {
    lost: 1,
    said: [
      '1 line of this log was lost because it could not be written',
      'audit records are being written to audit.log again. 1 record was lost',
      'the last audit record could not be written to audit.log and is lost',
    ],
  },
  {
    lost: 2,
    said: [
      '2 lines of this log were lost because they could not be written',
      'audit records are being written to audit.log again. 2 records were lost',
      'the last 2 audit records could not be written to audit.log and are lost',
    ],
  },
  { lost: 0, said: ['audit records are being written to audit.log again. No records were lost'] },
])('$lost lost', ({ lost, said }) => {
  const recorded = recordingLog();
  const log = recorded as unknown as Logger;
  reportLostLines(log, lost);
  reportDelivery(log, 'audit.log').onRecovered?.(lost);
  reportUnwritten(log, 'audit.log', lost);
  expect(recorded.lines).toEqual(said.map((message) => expect.objectContaining({ level: lost > 0 ? 'error' : 'info', message })));
});
