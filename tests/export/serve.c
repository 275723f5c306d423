/* Copyright 2026 The nasfpn_tf Authors.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

/* Loads a SavedModel through TensorFlow's C API and asks it about one encoded picture.
 *
 * serve SAVED_MODEL_DIR PICTURE INPUT OUTPUT...
 *
 * INPUT and OUTPUTs are operation:index, as in the signature. Prints a line of numbers for each float32 or int32 output.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define MAX_OUTPUTS 16

static void check(const TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "serve: %s\n", TF_Message(status));
    exit(1);
  }
}

static void fail(const char* what, const char* name) {
  fprintf(stderr, "serve: %s: %s\n", what, name);
  exit(1);
}

static TF_Output find(TF_Graph* graph, const char* reference) {
  char name[256];
  const char* colon = strrchr(reference, ':');
  if (!colon || colon - reference >= (long)sizeof(name)) fail("no operation:index", reference);
  memcpy(name, reference, colon - reference);
  name[colon - reference] = '\0';
  TF_Output output = {TF_GraphOperationByName(graph, name), atoi(colon + 1)};
  if (!output.oper) fail("no such operation", reference);
  return output;
}

static TF_Tensor* read_picture(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) fail("cannot open", path);
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  char* bytes = malloc(size);
  if (!bytes || fread(bytes, 1, size, file) != (size_t)size) fail("cannot read", path);
  fclose(file);
  const int64_t dims[1] = {1};
  TF_Tensor* tensor = TF_AllocateTensor(TF_STRING, dims, 1, sizeof(TF_TString));
  TF_TString* text = TF_TensorData(tensor);
  TF_StringInit(text);
  TF_StringCopy(text, bytes, size);
  free(bytes);
  return tensor;
}

static void print(const TF_Tensor* tensor) {
  int64_t count = TF_TensorElementCount(tensor);
  const void* data = TF_TensorData(tensor);
  for (int64_t i = 0; i < count; ++i) {
    if (TF_TensorType(tensor) == TF_FLOAT) {
      printf("%s%.9g", i ? " " : "", ((const float*)data)[i]);
    } else if (TF_TensorType(tensor) == TF_INT32) {
      printf("%s%d", i ? " " : "", ((const int*)data)[i]);
    } else {
      fail("output", "neither float32 nor int32");
    }
  }
  printf("\n");
}

int main(int argc, char** argv) {
  if (argc < 5 || argc - 4 > MAX_OUTPUTS) fail("usage", "serve SAVED_MODEL_DIR PICTURE INPUT OUTPUT...");
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status);

  TF_Tensor* picture = read_picture(argv[2]);
  TF_Output input = find(graph, argv[3]);
  TF_Output outputs[MAX_OUTPUTS];
  TF_Tensor* values[MAX_OUTPUTS] = {NULL};
  int num_outputs = argc - 4;
  for (int i = 0; i < num_outputs; ++i) outputs[i] = find(graph, argv[4 + i]);
  TF_SessionRun(session, NULL, &input, &picture, 1, outputs, values, num_outputs, NULL, 0, NULL, status);
  check(status);
  for (int i = 0; i < num_outputs; ++i) {
    print(values[i]);
    TF_DeleteTensor(values[i]);
  }

  TF_StringDealloc(TF_TensorData(picture));
  TF_DeleteTensor(picture);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
