// The five steps of document 002: configuration, predictor, inputs, run, outputs.

#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <sstream>

#include "arguments.h"
#include "npy.h"
#include "paddle_inference.h"

namespace {

// For a missing file, the library's message names no file in some releases; in others the library continues
// with uninitialised memory as parameters.
void must_be_readable(const std::string& path) {
  if (!path.empty() && access(path.c_str(), R_OK) != 0) {
    throw std::runtime_error("cannot read " + path + ": " + std::strerror(errno));
  }
}

paddle_infer::Config configured(const Options& options) {
  for (const std::string& path : {options.model, options.params, options.folder}) must_be_readable(path);
  paddle_infer::Config config;
  if (options.folder.empty()) {
    config.SetModel(options.model, options.params);
  } else {
    config.SetModel(options.folder);
  }
  config.DisableGpu();
  if (options.onednn == "on") config.EnableMKLDNN();
  if (options.onednn == "off") config.DisableMKLDNN();
  if (options.bfloat16) config.EnableMkldnnBfloat16();
  if (options.int8) config.EnableMkldnnInt8({});
  if (!options.ir_optim.empty()) config.SwitchIrOptim(options.ir_optim == "on");
  if (options.memory_optim) config.EnableMemoryOptim(true);
  config.SetCpuMathLibraryNumThreads(options.threads);
  if (!options.log) config.DisableGlogInfo();
  return config;
}

using Named = std::vector<std::pair<std::string, npy::Array>>;

struct Result {
  std::vector<double> seconds;  // of each timed run
  Named outputs;                // of the last run
};

// A predictor and its handles, which later runs reuse.
class Session {
 public:
  explicit Session(const Options& options) : config_(configured(options)) {
    predictor_ = paddle_infer::CreatePredictor(config_);
    if (!predictor_) throw std::runtime_error("the library made no predictor");
    for (const std::string& name : predictor_->GetInputNames()) {
      inputs_.emplace(name, predictor_->GetInputHandle(name));
    }
  }

  Result run(const Named& feed, int warmup, int repeat) {
    for (const auto& [name, array] : feed) {
      if (!inputs_.count(name)) throw std::runtime_error("no input '" + name + "'; there is: " + input_names());
    }
    for (const auto& [name, handle] : inputs_) {
      const auto has_name = [&name = name](const auto& item) { return item.first == name; };
      const auto given = std::count_if(feed.begin(), feed.end(), has_name);
      if (given != 1) {
        throw std::runtime_error("input '" + name + "' is given " + std::to_string(given) + " times; needed: " +
                                 input_names());
      }
    }
    Result result;
    for (int number = -warmup; number < repeat; ++number) {
      const auto start = std::chrono::steady_clock::now();
      for (const auto& [name, array] : feed) copy_in(*inputs_.at(name), array);
      if (!predictor_->Run()) throw std::runtime_error("Run() returned false");
      if (outputs_.empty()) {
        // In some releases the outputs are only known now.
        for (const std::string& name : predictor_->GetOutputNames()) {
          outputs_.emplace_back(name, predictor_->GetOutputHandle(name));
        }
      }
      result.outputs.clear();
      for (const auto& [name, handle] : outputs_) result.outputs.emplace_back(name, copied_out(*handle));
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      if (number >= 0) result.seconds.push_back(taken.count());
    }
    return result;
  }

  std::string description() {
    std::ostringstream text;
    for (const std::string& line : lines(paddle_infer::GetVersion())) text << "library " << line << "\n";
    for (const std::string& name : predictor_->GetInputNames()) text << "input " << name << "\n";
    for (const std::string& name : predictor_->GetOutputNames()) text << "output " << name << "\n";
    text << config_.Summary();
    return text.str();
  }

  // Type and shape of each input as the program declares them. They are not part of the description: some
  // releases cannot report them, and abort the process.
  std::string declared() {
    std::ostringstream text;
    const auto types = predictor_->GetInputTypes();
    for (const auto& [name, shape] : predictor_->GetInputTensorShape()) {
      text << name << " takes " << (types.count(name) ? npy::dtype(types.at(name)).name : "any type") << " "
           << npy::text(std::vector<int>(shape.begin(), shape.end())) << "\n";
    }
    return text.str();
  }

 private:
  std::string input_names() {
    std::string joined;
    for (const auto& [name, handle] : inputs_) joined += (joined.empty() ? "" : ", ") + name;
    return joined;
  }

  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> found;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
      if (!line.empty()) found.push_back(line);
    }
    return found;
  }

  template <typename T>
  static void copy_in(paddle_infer::Tensor& handle, const npy::Array& array) {
    handle.CopyFromCpu(reinterpret_cast<const T*>(array.bytes.data()));
  }

  static void copy_in(paddle_infer::Tensor& handle, const npy::Array& array) {
    using paddle_infer::DataType;
    handle.Reshape(array.shape);
    switch (array.type) {
      case DataType::FLOAT32: return copy_in<float>(handle, array);
      case DataType::FLOAT64: return copy_in<double>(handle, array);
      case DataType::FLOAT16: return copy_in<paddle_infer::float16>(handle, array);
      case DataType::BFLOAT16: return copy_in<paddle_infer::bfloat16>(handle, array);
      case DataType::INT64: return copy_in<int64_t>(handle, array);
      case DataType::INT32: return copy_in<int32_t>(handle, array);
      case DataType::INT8: return copy_in<int8_t>(handle, array);
      case DataType::UINT8: return copy_in<uint8_t>(handle, array);
      case DataType::BOOL: return copy_in<bool>(handle, array);
    }
  }

  template <typename T>
  static void copy_out(const paddle_infer::Tensor& handle, npy::Array& array) {
    handle.CopyToCpu(reinterpret_cast<T*>(array.bytes.data()));
  }

  static npy::Array copied_out(const paddle_infer::Tensor& handle) {
    using paddle_infer::DataType;
    npy::Array array;
    array.type = handle.type();
    array.shape = handle.shape();
    array.bytes.resize(array.elements() * npy::dtype(array.type).size);
    switch (array.type) {
      case DataType::FLOAT32: copy_out<float>(handle, array); break;
      case DataType::FLOAT64: copy_out<double>(handle, array); break;
      case DataType::FLOAT16: copy_out<paddle_infer::float16>(handle, array); break;
      case DataType::BFLOAT16: copy_out<paddle_infer::bfloat16>(handle, array); break;
      case DataType::INT64: copy_out<int64_t>(handle, array); break;
      case DataType::INT32: copy_out<int32_t>(handle, array); break;
      case DataType::INT8: copy_out<int8_t>(handle, array); break;
      case DataType::UINT8: copy_out<uint8_t>(handle, array); break;
      case DataType::BOOL: copy_out<bool>(handle, array); break;
    }
    return array;
  }

  paddle_infer::Config config_;
  std::shared_ptr<paddle_infer::Predictor> predictor_;
  std::map<std::string, paddle_infer::TensorHandle> inputs_;
  std::vector<std::pair<std::string, paddle_infer::TensorHandle>> outputs_;
};

}  // namespace
