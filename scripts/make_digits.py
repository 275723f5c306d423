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

"""Makes the embedded data set, handwritten digits on photographs, as JPEG and COCO JSON: docs/data.md.

make_digits.py --output_dir=digits
"""

from absl import app, flags

from nasfpn_tf import failure
from nasfpn_tf.data.sources import digits

FLAGS = flags.FLAGS
flags.DEFINE_string('output_dir', None, 'Directory for train/, val/, train.json and val.json.')
flags.DEFINE_integer('num_train', 8000, 'Number of training images.', lower_bound=1)
flags.DEFINE_integer('num_val', 500, 'Number of validation images.', lower_bound=1)
flags.DEFINE_integer(
  'image_size', 256, 'Side of the square images in pixels, at least 214 for the digits of up to 160 pixels.'
)
flags.DEFINE_integer('min_train_digits', 1, 'A training image has at least so many digits.', lower_bound=1)
flags.DEFINE_integer('max_train_digits', 6, 'A training image has at most so many digits.', lower_bound=1)
flags.DEFINE_integer('seed', 0, 'Seed of the images.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  with failure.told('make_digits'):
    paths = digits.make_digits(
      FLAGS.output_dir,
      num_train=FLAGS.num_train,
      num_val=FLAGS.num_val,
      seed=FLAGS.seed,
      image_size=FLAGS.image_size,
      min_train_digits=FLAGS.min_train_digits,
      max_train_digits=FLAGS.max_train_digits,
    )
  print(f'Training: {paths.train_annotations}, validation: {paths.val_annotations}')


def run():
  flags.mark_flag_as_required('output_dir')
  app.run(main)


if __name__ == '__main__':
  run()
