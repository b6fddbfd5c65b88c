/** `npm run -s release -- …`: the steps of .github/workflows/release.yaml that can be tested. `--help` lists them. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { publishedChart } from './chart.ts';
import { type ValuesSchema, withValueTable } from './chart-readme.ts';
import { releaseNotes } from './notes.ts';
import { published } from './published.ts';
import { versionProblems } from './versions.ts';

const root = join(import.meta.dirname, '..');
const chart = join(root, 'deploy/chart');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const schema = () => JSON.parse(read('deploy/chart/values.schema.json')) as ValuesSchema;

const program = new Command('npm run -s release --').description('Prepare a release.').exitOverride();
program
  .command('check <tag>')
  .description('Check that all files have the version of the tag.')
  .action((tag: string) => {
    const problems = versionProblems(tag, read);
    for (const { file, problem } of problems) process.stderr.write(`${file} ${problem}\n`);
    process.exitCode = problems.length === 0 ? 0 : 1;
  });
program
  .command('names <repository> <tag>')
  .description('Print the version and the names of image and charts, for GITHUB_OUTPUT.')
  .action((repository: string, tag: string) => {
    const { version, image, charts } = published({ repository, tag });
    process.stdout.write(
      Object.entries({ version, image, charts })
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    );
  });
program
  .command('notes <repository> <tag> <digest>')
  .description('Print the notes of a release.')
  .action((repository: string, tag: string, digest: string) => {
    process.stdout.write(releaseNotes(read('CHANGELOG.md'), { repository, tag, digest }));
  });
program
  .command('chart <repository> <tag> <digest> <folder>')
  .description('Write the chart with its addresses and image to a new folder.')
  .action((repository: string, tag: string, digest: string, folder: string) => {
    const [chartFile, values, readme, alerts] = ['Chart.yaml', 'values.yaml', 'README.md', 'files/alerts.yaml'] as const;
    const texts = {
      chart: read(`deploy/chart/${chartFile}`),
      values: read(`deploy/chart/${values}`),
      readme: read(`deploy/chart/${readme}`),
      alerts: read(`deploy/chart/${alerts}`),
    };
    const changed = publishedChart(texts, schema(), { repository, tag, digest });
    cpSync(chart, folder, { recursive: true, errorOnExist: true, force: false });
    writeFileSync(join(folder, chartFile), changed.chart);
    writeFileSync(join(folder, values), changed.values);
    writeFileSync(join(folder, readme), changed.readme);
    writeFileSync(join(folder, alerts), changed.alerts);
  });
program
  .command('chart-readme')
  .description("Update the table of values in the chart's README.")
  .action(() => {
    const page = withValueTable(read('deploy/chart/README.md'), read('deploy/chart/values.yaml'), schema());
    writeFileSync(join(chart, 'README.md'), page);
  });

try {
  program.parse();
} catch (error) {
  // Commander has printed its own errors.
  if (!(error instanceof CommanderError)) process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = error instanceof CommanderError ? error.exitCode : 1;
}
