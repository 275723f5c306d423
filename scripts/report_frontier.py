# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

r"""Reports what models reach and cost, with their Pareto frontiers, from the records of benchmark.py: docs/frontier.md.

report_frontier.py --records=records.jsonl --output_dir=report

Writes frontier.html, which needs no other file and no network, frontier.md and frontier.svg.
"""

from absl import app, flags

FLAGS = flags.FLAGS


def define_flags():
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_multi_string(
    'records', None, 'Records of benchmark.py: a .jsonl file or a directory of them; can be repeated.'
  )
  flags.DEFINE_enum(
    'published', 'mobile', ['mobile', 'all', 'none'], 'Published figures to show for comparison, with their source.'
  )
  flags.DEFINE_enum(
    'x',
    'latency_ms',
    ['latency_ms', 'multiply_adds_g', 'size_mb', 'params_m'],
    'The cost that the page shows initially.',
  )
  flags.DEFINE_string('title', 'Accuracy against cost', 'Heading.')
  flags.DEFINE_string('output_dir', None, 'Directory for frontier.html, frontier.md and frontier.svg.')
  flags.mark_flags_as_required(['records', 'output_dir'])


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  from nasfpn_tf import failure
  from nasfpn_tf.config import loading
  from nasfpn_tf.frontier import documents, published, record

  with failure.told('report_frontier'):
    records = record.load(FLAGS.records)
    others = published.load(FLAGS.published, loading.config_names())
    paths = documents.write(FLAGS.output_dir, records, others, FLAGS.title, FLAGS.x)
  print('\n'.join(paths))


def run():
  define_flags()
  app.run(main)


if __name__ == '__main__':
  run()
