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

"""Images for TensorBoard show the right pixels and boxes at the right place."""

import numpy as np

from nasfpn_tf.data.input import preprocess
from nasfpn_tf.training import summaries


def batch(size, score):
  pixels = np.full((size, 64, 96, 3), 100.0, np.float32)
  images = (pixels - np.array(preprocess.MEAN)) / np.array(preprocess.STDDEV)
  # The original is twice as large; the objects are in its pixels.
  info = np.tile(np.array([[128, 192], [64, 96], [0.5, 0.5], [0, 0]], np.float32), (size, 1, 1))
  truth = {
    'boxes': np.tile(np.array([[[20, 40, 60, 80], [-1, -1, -1, -1]]], np.float32), (size, 1, 1)),
    'classes': np.tile(np.array([[1, -1]]), (size, 1)),
  }
  detections = {
    'image_info': info,
    'boxes': np.tile(np.array([[[30, 50, 60, 90], [0, 0, 9, 9], [5, 5, 50, 50]]], np.float32), (size, 1, 1)),
    'scores': np.tile(np.array([[score, 0.01, 0.9]], np.float32), (size, 1)),
    'classes': np.tile(np.array([[2, 1, 1]]), (size, 1)),
    'num_detections': np.full((size,), 2),
  }
  return images, truth, detections


def test_objects_and_confident_detections_are_drawn():
  pictures = summaries.DetectionImages({1: 'red'})
  pictures.add(*batch(1, score=0.8))
  (image,) = pictures._drawn
  assert image.shape == (64, 96, 3) and image.dtype == np.uint8
  yellow, green = np.array(summaries._TRUTH), np.array(summaries._DETECTION)
  assert np.all(image[30, 25:40] == yellow), 'the lower edge of the object, in the pixels of the network'
  assert np.all(image[60, 55:85] == green), 'the lower edge of the detection'
  assert np.all(image[0, :9] == 100), 'a detection of score 0.01 is not shown'
  assert np.all(image[50, 5:40] == 100), 'nor is one beyond num_detections'


def test_only_the_first_images_are_kept():
  pictures = summaries.DetectionImages()
  pictures.add(*batch(5, score=0.1))
  pictures.add(*batch(5, score=0.1))
  assert len(pictures._drawn) == summaries.NUM_IMAGES
  pictures.reset()
  assert pictures._drawn == []
