// Paddle Inference as this program uses it: the official headers, or the few declarations it needs.
//
// With PADDLE_INFERENCE_API the official library's header is included. Without it, this file declares
// just enough to link with the libpaddle.so of a wheel, which holds the same classes but has no
// headers. Names, arguments and return types are those of paddle_inference_api.h, so the mangled
// names are the library's; docs/cpp.md says what else the declarations rely on.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#ifdef PADDLE_INFERENCE_API

#include "paddle_inference_api.h"

namespace paddle_infer {
using TensorHandle = std::unique_ptr<Tensor>;
using float16 = phi::dtype::float16;
using bfloat16 = phi::dtype::bfloat16;
}  // namespace paddle_infer

#else

namespace phi::dtype {
struct float16 {
  uint16_t bits;
};
struct bfloat16 {
  uint16_t bits;
};
}  // namespace phi::dtype

namespace paddle {

class AnalysisConfig {
 public:
  AnalysisConfig();
  AnalysisConfig(const AnalysisConfig&);
  ~AnalysisConfig();
  void SetModel(const std::string& folder);
  void SetModel(const std::string& program, const std::string& parameters);
  void DisableGpu();
  void EnableMKLDNN();
  void DisableMKLDNN();
  void EnableMkldnnBfloat16();
  void EnableMkldnnInt8(const std::unordered_set<std::string>& operators);
  void SwitchIrOptim(int on);
  void EnableMemoryOptim(bool on);
  void SetCpuMathLibraryNumThreads(int threads);
  void DisableGlogInfo();
  std::string Summary();

 private:
  // The library's constructor fills as much of this as its release needs: 2,056 bytes in 2.6.2,
  // 1,632 in 3.x.
  alignas(std::max_align_t) unsigned char storage_[32768];
};

}  // namespace paddle

namespace paddle_infer {

using Config = paddle::AnalysisConfig;
using float16 = phi::dtype::float16;
using bfloat16 = phi::dtype::bfloat16;

enum DataType { FLOAT32, INT64, INT32, UINT8, INT8, FLOAT16, BOOL, FLOAT64, BFLOAT16 };

class Tensor {
 public:
  Tensor() = delete;
  void Reshape(const std::vector<int>& shape);
  template <typename T>
  void CopyFromCpu(const T* data);
  template <typename T>
  void CopyToCpu(T* data) const;
  std::vector<int> shape() const;
  DataType type() const;
};

// The library does not export the destructor of Tensor, and its size is not known here. So a handle is
// requested once and lives as long as the process, which costs about a hundred bytes.
struct Keep {
  void operator()(Tensor*) const {}
};
using TensorHandle = std::unique_ptr<Tensor, Keep>;

class Predictor {
 public:
  Predictor() = delete;
  std::vector<std::string> GetInputNames();
  std::vector<std::string> GetOutputNames();
  std::map<std::string, std::vector<int64_t>> GetInputTensorShape();
  std::map<std::string, DataType> GetInputTypes();
  TensorHandle GetInputHandle(const std::string& name);
  TensorHandle GetOutputHandle(const std::string& name);
  bool Run();
};

std::shared_ptr<Predictor> CreatePredictor(const Config& config);
std::string GetVersion();

}  // namespace paddle_infer

#endif
