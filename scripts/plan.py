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

"""Plans the training of a detector on records: a YAML file for train.py with a reason beside every line.

python scripts/plan.py --input_path='records/train-*' --minutes=30 --output=my.yaml
python scripts/train.py --config_file=my.yaml --model_dir=runs/mine \
  --params_override='task.validation_data.input_path=records/val-*'
"""

import sys

from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string('input_path', None, "Training records: 'P-*'.")
flags.DEFINE_string('validation_path', None, 'Validation records; unset: give them to train.py.')
flags.DEFINE_float('minutes', 30.0, 'Time limit in minutes, from the records to the exports.')
flags.DEFINE_string(
  'backbone_weights',
  None,
  "Weights to start from: Keras' file of MobileNetV2 without the top, imagenet, blood_cells (it comes with the package)"
  ' or none; unset: imagenet if available, else blood_cells.',
)
flags.DEFINE_enum('device', 'auto', ['auto', 'cpu', 'gpu', 'tpu'], 'What trains.')
flags.DEFINE_float(
  'images_per_second', None, 'Training throughput at 256 x 256 px; unset: measured, which takes about a minute.'
)
flags.DEFINE_float(
  'target_latency_ms',
  None,
  'Maximum milliseconds per image as a float .tflite on one core of this machine, without NMS.',
)
flags.DEFINE_string('output', None, 'The YAML file to write.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}: flags begin with --.')
  from nasfpn_tf import failure

  with failure.told('plan'):
    _plan()


def _plan() -> None:
  import tensorflow as tf

  from nasfpn_tf import processor, whole_file
  from nasfpn_tf.fit.plan import plan as plan_lib

  whole_file.check_place(FLAGS.output)  # Before this machine is measured.
  device = FLAGS.device
  has_gpu = bool(tf.config.list_physical_devices('GPU'))
  if device == 'auto':
    device = 'gpu' if has_gpu else 'cpu'
  speed = FLAGS.images_per_second
  if device == 'gpu' and speed is None and not has_gpu:
    raise ValueError(
      '--device=gpu: TensorFlow finds no GPU on this machine. Leave the flag out to train on the CPU, or plan for'
      ' another machine by giving its --images_per_second.'
    )
  plan = plan_lib.make(
    FLAGS.input_path,
    FLAGS.minutes,
    FLAGS.backbone_weights,
    device,
    processor.computes_bfloat16() if device == 'cpu' else True,
    None if speed is None else speed * 256 * 256,
    FLAGS.validation_path,
    target_latency_ms=FLAGS.target_latency_ms,
  )
  plan_lib.write(plan, FLAGS.output)
  print(plan.text)
  for warning in plan.warnings:
    print(f'Note: {warning}', file=sys.stderr)
  print(f'Written: {FLAGS.output}', file=sys.stderr)


def run():
  """Runs the program: console entry point."""
  flags.mark_flags_as_required(['input_path', 'output'])
  app.run(main)


if __name__ == '__main__':
  run()
