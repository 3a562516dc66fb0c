// Runs a deployed model with Paddle Inference in C++: document 002, section 4, as a program for any model.
//
// arguments.h says how it is called, docs/cpp.md how it is compiled by hand.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "arguments.h"
#include "npy.h"
#include "session.h"

namespace {

// Called by hand: one feed from files, outputs to files or the screen

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
    std::printf("%s\n", session.description().c_str());
    std::fflush(stdout);
    std::printf("%s", session.declared().c_str());
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

// Called by a program: requests on standard input, answers on standard output

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
  // The size on one line, then that many bytes.
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
    // Only now, after the whole request is read: a refusal leaves nothing unread.
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
