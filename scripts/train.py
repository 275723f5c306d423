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

r"""Trains and evaluates a detector: docs/training.md.

train.py --config_file=configs/NAME.yaml --model_dir=runs/first \
  --params_override=task.train_data.input_path=records/train,task.validation_data.input_path=records/val

The same command resumes a run that was stopped. --mode=eval evaluates the latest checkpoint of a model_dir.
"""

import logging as std_logging
import os

from absl import app, flags

from nasfpn_tf import startup

FLAGS = flags.FLAGS
flags.DEFINE_string(
  'experiment', None, 'Registered experiment that the files are based on; default: the one they name.'
)
flags.DEFINE_multi_string(
  'config_file', [], 'YAML file, name in configs/, or model_dir; repeat it to apply another on top.'
)
flags.DEFINE_string(
  'params_override', None, 'key.of.field=value,... or a YAML mapping or file; takes precedence over the files.'
)
flags.DEFINE_enum(
  'mode', 'train_and_eval', ['train', 'eval', 'train_and_eval', 'continuous_eval'], 'Train, evaluate, or both.'
)
flags.DEFINE_string('model_dir', None, 'Directory for checkpoints, curves and results.')
flags.DEFINE_string(
  'checkpoint_path',
  None,
  'With --mode=eval: checkpoint or directory to evaluate instead of the newest checkpoint of model_dir.',
)
flags.DEFINE_string('tpu', None, "Train on this TPU: its name or address, or 'local' on a TPU VM.")
flags.DEFINE_integer(
  'cpu_replicas', 1, 'Number of replicas on the CPU, among which its cores are divided.', lower_bound=1
)
flags.DEFINE_integer('intra_op_threads', None, 'Threads of one operation on the CPU; unset: its cores.', lower_bound=1)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  # After the flags are read: TensorFlow takes seconds to load.
  from nasfpn_tf import failure
  from nasfpn_tf.training import params as params_lib
  from nasfpn_tf.training import strategy, trainer

  if not FLAGS['verbosity'].present:
    std_logging.getLogger('tensorflow').setLevel('ERROR')
  config_files = FLAGS.config_file
  is_described = os.path.exists(os.path.join(FLAGS.model_dir, 'params.yaml'))
  if not config_files and FLAGS.mode == 'eval' and (is_described or not (FLAGS.experiment or FLAGS.params_override)):
    config_files = [FLAGS.model_dir]
  with failure.told('train', f'interrupted; the same command resumes from the newest checkpoint in {FLAGS.model_dir}'):
    params = params_lib.load_params(FLAGS.experiment, config_files, FLAGS.params_override)
    if FLAGS.tpu:
      params.override({'runtime': {'tpu': FLAGS.tpu}})
    strategy.split_cpu(FLAGS.cpu_replicas, FLAGS.intra_op_threads)
    metrics = trainer.run(params, FLAGS.mode, FLAGS.model_dir, checkpoint_path=FLAGS.checkpoint_path, report=True)
  if metrics:
    print(trainer.metrics_table(metrics))
  print(f'Results: {os.path.abspath(FLAGS.model_dir)}')


def run():
  startup.end_at_signals('train')
  flags.mark_flag_as_required('model_dir')
  app.run(main)


if __name__ == '__main__':
  run()
