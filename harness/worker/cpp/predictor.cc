// A deployed model run with Paddle Inference in C++: document 002, section 4, as a program for any model.
//
// Configuration, predictor, input handles, Reshape, CopyFromCpu, Run, output names, shapes, CopyToCpu.
// USAGE below says how it is called; docs/cpp.md how it is compiled by hand.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "npy.h"
#include "paddle_inference.h"

namespace {

const char USAGE[] = R"(usage: predictor --model FILE [--params FILE] --input NAME=FILE.npy ... [options]
       predictor --folder DIR --input NAME=FILE.npy ... [options]
       predictor --help

Runs a deployed PaddlePaddle model with Paddle Inference on the CPU.

the model:
  --model FILE          its program: .json or .pdmodel
  --params FILE         its parameters: .pdiparams (a program without any has no such file)
  --folder DIR          instead of both: __model__ and one file for each parameter
the inputs and outputs:
  --input NAME=FILE     an input's values, a .npy file; once for each input
  --output DIR          write the outputs there, as output-0.npy, output-1.npy, ...
                        (default: print the first values of each)
the engine:
  --onednn on|off       oneDNN's kernels (default: as the library has it)
  --bfloat16            let oneDNN compute in bfloat16
  --int8                let oneDNN compute in int8 what the program quantizes
  --ir-optim on|off     optimisation of the program (default: on)
  --memory-optim        reuse the memory of intermediate values
  --threads N           threads of the CPU's math libraries (default: 1)
  --log                 let the library log, to standard error
the runs:
  --warmup N            runs before those that are timed (default: 0)
  --repeat N            timed runs (default: 1): copying in, running, copying out
the rest:
  --describe            print configuration, inputs and outputs, and run nothing
  --serve               run what a program asks for on standard input (docs/cpp.md)

exit status: 0 done; 1 the library or a file refused; 2 wrong arguments
)";

struct WrongArguments : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Options {
  std::string model, params, folder, output;
  std::vector<std::pair<std::string, std::string>> inputs;
  std::string onednn, ir_optim;  // "on", "off" or empty
  bool bfloat16 = false, int8 = false, memory_optim = false, log = false;
  bool describe = false, serve = false, help = false;
  int threads = 1, warmup = 0, repeat = 1;
};

int number(const std::string& name, const std::string& value, int least) {
  try {
    size_t used = 0;
    const int found = std::stoi(value, &used);
    if (used == value.size() && found >= least) return found;
  } catch (const std::logic_error&) {
  }
  throw WrongArguments(name + " takes a whole number from " + std::to_string(least) + ", not '" + value + "'");
}

std::string on_or_off(const std::string& name, const std::string& value) {
  if (value == "on" || value == "off") return value;
  throw WrongArguments(name + " takes on or off, not '" + value + "'");
}

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t at = 0; at < arguments.size(); ++at) {
    const std::string& name = arguments[at];
    const auto value = [&]() -> const std::string& {
      if (at + 1 == arguments.size()) throw WrongArguments(name + " takes a value: see --help");
      return arguments[++at];
    };
    if (name == "--model") {
      options.model = value();
    } else if (name == "--params") {
      options.params = value();
    } else if (name == "--folder") {
      options.folder = value();
    } else if (name == "--output") {
      options.output = value();
    } else if (name == "--input") {
      const std::string given = value();
      const size_t sign = given.rfind('=');
      if (sign == std::string::npos || sign == 0) {
        throw WrongArguments("--input takes NAME=FILE.npy, not '" + given + "'");
      }
      options.inputs.emplace_back(given.substr(0, sign), given.substr(sign + 1));
    } else if (name == "--onednn") {
      options.onednn = on_or_off(name, value());
    } else if (name == "--ir-optim") {
      options.ir_optim = on_or_off(name, value());
    } else if (name == "--threads") {
      options.threads = number(name, value(), 1);
    } else if (name == "--warmup") {
      options.warmup = number(name, value(), 0);
    } else if (name == "--repeat") {
      options.repeat = number(name, value(), 1);
    } else if (name == "--bfloat16") {
      options.bfloat16 = true;
    } else if (name == "--int8") {
      options.int8 = true;
    } else if (name == "--memory-optim") {
      options.memory_optim = true;
    } else if (name == "--log") {
      options.log = true;
    } else if (name == "--describe") {
      options.describe = true;
    } else if (name == "--serve") {
      options.serve = true;
    } else if (name == "--help" || name == "-h") {
      options.help = true;
    } else {
      throw WrongArguments("unknown argument '" + name + "': see --help");
    }
  }
  if (options.help || options.serve) return options;
  if (options.folder.empty() == options.model.empty()) {
    throw WrongArguments("name the model, with --model and --params or with --folder: see --help");
  }
  if (!options.folder.empty() && !options.params.empty()) {
    throw WrongArguments("--params is for --model: a --folder has its parameters inside");
  }
  return options;
}

// The library's own words for a missing file name no file in some releases, and in others it runs on with
// whatever lay in the memory of the parameters.
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

// A predictor and its handles, which later runs use again.
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
        // Known only now in some releases.
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
    const auto types = predictor_->GetInputTypes();
    const auto shapes = predictor_->GetInputTensorShape();
    for (const std::string& name : predictor_->GetInputNames()) {
      const std::vector<int64_t> shape = shapes.count(name) ? shapes.at(name) : std::vector<int64_t>();
      text << "input " << name << ": "
           << (types.count(name) ? npy::dtype(types.at(name)).name : "of unknown type") << " "
           << npy::text(std::vector<int>(shape.begin(), shape.end())) << "\n";
    }
    for (const std::string& name : predictor_->GetOutputNames()) text << "output " << name << "\n";
    text << config_.Summary();
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

// By hand: one feed from files, outputs to files or the screen

void print_first_values(const npy::Array& array) {
  const size_t shown = std::min<size_t>(array.elements(), 10);
  for (size_t at = 0; at < shown; ++at) {
    const char* value = array.bytes.data() + at * npy::dtype(array.type).size;
    using paddle_infer::DataType;
    switch (array.type) {
      case DataType::FLOAT32: std::printf(" %.9g", *reinterpret_cast<const float*>(value)); break;
      case DataType::FLOAT64: std::printf(" %.17g", *reinterpret_cast<const double*>(value)); break;
      case DataType::INT64: std::printf(" %lld", static_cast<long long>(*reinterpret_cast<const int64_t*>(value))); break;
      case DataType::INT32: std::printf(" %d", *reinterpret_cast<const int32_t*>(value)); break;
      case DataType::FLOAT16:
      case DataType::BFLOAT16: std::printf(" 0x%04x", *reinterpret_cast<const uint16_t*>(value)); break;
      default: std::printf(" %d", *value);
    }
  }
  std::printf(array.elements() > shown ? " ...\n" : "\n");
}

int run_files(const Options& options) {
  Named feed;
  for (const auto& [name, path] : options.inputs) feed.emplace_back(name, npy::read_file(path));
  Session session(options);
  if (options.describe) {
    std::printf("%s", session.description().c_str());
    return 0;
  }
  Result result = session.run(feed, options.warmup, options.repeat);
  for (size_t index = 0; index < result.outputs.size(); ++index) {
    const auto& [name, array] = result.outputs[index];
    std::printf("output %s: %s %s", name.c_str(), npy::dtype(array.type).name, npy::text(array.shape).c_str());
    if (options.output.empty()) {
      print_first_values(array);
    } else {
      const std::string path = options.output + "/output-" + std::to_string(index) + ".npy";
      npy::write_file(path, array);
      std::printf(" -> %s\n", path.c_str());
    }
  }
  std::sort(result.seconds.begin(), result.seconds.end());
  std::printf("%zu runs: median %.1f us, fastest %.1f us, slowest %.1f us\n", result.seconds.size(),
              result.seconds[result.seconds.size() / 2] * 1e6, result.seconds.front() * 1e6,
              result.seconds.back() * 1e6);
  return 0;
}

// By a program: requests on standard input, answers on standard output

class Server {
 public:
  // Whatever the library prints goes to standard error: standard output carries answers only.
  Server() : answers_(fdopen(dup(STDOUT_FILENO), "wb")) { dup2(STDERR_FILENO, STDOUT_FILENO); }

  int serve() {
    std::ios::sync_with_stdio(false);
    for (std::string request; std::getline(std::cin, request);) {
      std::string answer;
      try {
        answer = "ok " + answered(request);
      } catch (const std::exception& error) {
        answer = "error " + counted(error.what());
      }
      std::fwrite(answer.data(), 1, answer.size(), answers_);
      std::fflush(answers_);
    }
    return 0;
  }

 private:
  // A size on a line of its own, and as many bytes.
  static std::string counted(const std::string& bytes) { return std::to_string(bytes.size()) + "\n" + bytes; }

  static std::string read_counted() {
    std::string line;
    std::getline(std::cin, line);
    std::string bytes(std::stoul(line), '\0');
    if (!std::cin.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
      throw std::runtime_error("the request is cut off");
    }
    return bytes;
  }

  std::string answered(const std::string& request) {
    std::istringstream words(request);
    std::string verb;
    words >> verb;
    if (verb == "open") {
      size_t count = 0;
      words >> count;
      std::vector<std::string> arguments;
      for (size_t index = 0; index < count; ++index) arguments.push_back(read_counted());
      session_.reset();
      session_ = std::make_unique<Session>(parse(arguments));
      return counted(session_->description());
    }
    if (verb == "close") {
      session_.reset();
      return counted("");
    }
    if (verb != "run") throw std::runtime_error("no request '" + verb + "': there is open, run, close");
    int repeat = 1;
    size_t count = 0;
    words >> repeat >> count;
    Named feed;
    std::string contents;
    std::vector<std::pair<std::string, std::string>> given;
    for (size_t index = 0; index < count; ++index) {
      const std::string name = read_counted();
      given.emplace_back(name, read_counted());
    }
    // Only now, so that a refusal leaves nothing of the request unread.
    for (const auto& [name, content] : given) feed.emplace_back(name, npy::read(content, "input '" + name + "'"));
    if (!session_) throw std::runtime_error("no model is open");
    const Result result = session_->run(feed, 0, repeat);
    std::ostringstream answer;
    answer.precision(9);
    for (double seconds : result.seconds) answer << seconds << " ";
    std::string text = counted(answer.str()) + std::to_string(result.outputs.size()) + "\n";
    for (const auto& [name, array] : result.outputs) text += counted(name) + counted(npy::written(array));
    return text;
  }

  FILE* answers_;
  std::unique_ptr<Session> session_;
};

}  // namespace

int main(int count, char** arguments) {
  try {
    const Options options = parse(std::vector<std::string>(arguments + 1, arguments + count));
    if (options.help) {
      std::printf("%s", USAGE);
      return 0;
    }
    return options.serve ? Server().serve() : run_files(options);
  } catch (const WrongArguments& error) {
    std::fprintf(stderr, "predictor: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "predictor: %s\n", error.what());
    return 1;
  }
}
