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

"""Searches, trains the winner and exports it, from records: docs/search.md.

search.sh --search_config=bccd_shared --train='records/bccd_train-*' --held_out='records/bccd_val-*' \\
  --validation='records/bccd_test-*' --output_dir=runs/evening

A second run goes on where the first one stopped.
"""

import pathlib
import signal
import sys

from absl import app, flags

from nasfpn_tf import failure, startup
from nasfpn_tf.config import loading

FLAGS = flags.FLAGS
flags.DEFINE_string(
  'search_config', None, f'YAML file, or a name in configs/search/: {", ".join(sorted(loading.search_config_names()))}.'
)
flags.DEFINE_string('train', None, 'Records to train on.')
flags.DEFINE_string('held_out', None, 'Records on which the search evaluates architectures.')
flags.DEFINE_string('validation', None, 'Records on which the winner is evaluated; unset: --held_out.')
flags.DEFINE_string('output_dir', None, 'Directory of the search, the training and the exports.')
flags.DEFINE_string('params_override', None, 'Changes to the search: key.of.field=value,... or a YAML mapping or file.')
flags.DEFINE_integer(
  'warm_up_steps',
  600,
  'Steps of the training with FPN that the search starts from, if its configuration has one.',
  lower_bound=0,
)
flags.DEFINE_integer('train_steps', None, "Training steps of the winner; unset: the recipe's.", lower_bound=1)
flags.DEFINE_bool('smoke', False, 'Run every step briefly, to check that it works.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  from nasfpn_tf.fit import detector
  from nasfpn_tf.winner import chain

  for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler)  # As Ctrl-C: the step that runs is ended in order.
  with failure.told('search', 'stopped; run it again to resume.', lines=True):
    request = chain.Request(
      FLAGS.search_config,
      FLAGS.train,
      FLAGS.held_out,
      FLAGS.validation or FLAGS.held_out,
      FLAGS.params_override or '',
      FLAGS.warm_up_steps,
      FLAGS.train_steps,
    )
    winner = chain.Winner(request, pathlib.Path(FLAGS.output_dir).resolve(), FLAGS.smoke)
    chain.run(winner)
    for path in (winner.search_dir / 'report.html', winner.model_dir, winner.saved_model / '1', winner.tflite):
      sys.stdout.write(f'{detector.shown_path(path)}\n')


def run():
  """Runs the command."""
  startup.end_at_signals('search', terminated=1, remedy='run it again to resume.')
  flags.mark_flags_as_required(['search_config', 'train', 'held_out', 'output_dir'])
  app.run(main)


if __name__ == '__main__':
  run()
