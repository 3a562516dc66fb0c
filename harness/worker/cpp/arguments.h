// The command line: its options, its help, and errors in it.

#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

const char USAGE[] = R"(usage: predictor --model FILE [--params FILE] --input NAME=FILE.npy ... [options]
       predictor --folder DIR --input NAME=FILE.npy ... [options]
       predictor --help

Runs a deployed PaddlePaddle model with Paddle Inference on the CPU.

the model:
  --model FILE          its program: .json or .pdmodel
  --params FILE         its parameters: .pdiparams (a program without parameters has no such file)
  --folder DIR          instead of both: __model__ and one file for each parameter
the inputs and outputs:
  --input NAME=FILE     an input's values, a .npy file; once for each input
  --output DIR          write the outputs there, as output-0.npy, output-1.npy, ...
                        (default: print the first values of each)
the engine:
  --onednn on|off       oneDNN's kernels (default: the library's default)
  --bfloat16            let oneDNN compute in bfloat16
  --int8                let oneDNN compute in int8 what the program quantizes
  --ir-optim on|off     optimisation of the program (default: on)
  --memory-optim        reuse the memory of intermediate values
  --threads N           threads of the CPU's math libraries (default: 1)
  --log                 let the library log, to standard error
the runs:
  --warmup N            runs before the timed ones (default: 0)
  --repeat N            timed runs (default: 1): copying in, running, copying out
the rest:
  --describe            print the library's version, inputs, outputs and configuration, and run nothing
  --serve               answer requests on standard input (docs/cpp.md)

exit status: 0 done; 1 the library or a file refused; 2 wrong arguments
)";

struct WrongArguments : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Options {
  std::string model, params, folder, output;
  std::vector<std::pair<std::string, std::string>> inputs;  // name and file
  std::string onednn, ir_optim;                             // "on", "off" or empty
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

// Throws WrongArguments with a sentence.
Options parse(const std::vector<std::string>& arguments) {
  Options options;
  const std::map<std::string, std::string*> texts = {{"--model", &options.model},
                                                     {"--params", &options.params},
                                                     {"--folder", &options.folder},
                                                     {"--output", &options.output}};
  const std::map<std::string, std::string*> switches = {{"--onednn", &options.onednn},
                                                        {"--ir-optim", &options.ir_optim}};
  const std::map<std::string, std::pair<int*, int>> numbers = {{"--threads", {&options.threads, 1}},
                                                               {"--warmup", {&options.warmup, 0}},
                                                               {"--repeat", {&options.repeat, 1}}};
  const std::map<std::string, bool*> flags = {
      {"--bfloat16", &options.bfloat16}, {"--int8", &options.int8}, {"--memory-optim", &options.memory_optim},
      {"--log", &options.log},           {"--serve", &options.serve}, {"--describe", &options.describe},
      {"--help", &options.help},         {"-h", &options.help}};
  for (size_t at = 0; at < arguments.size(); ++at) {
    const std::string& name = arguments[at];
    if (flags.count(name)) {
      *flags.at(name) = true;
      continue;
    }
    if (!texts.count(name) && !switches.count(name) && !numbers.count(name) && name != "--input") {
      throw WrongArguments("unknown argument '" + name + "': see --help");
    }
    if (at + 1 == arguments.size()) throw WrongArguments(name + " takes a value: see --help");
    const std::string& value = arguments[++at];
    if (texts.count(name)) {
      *texts.at(name) = value;
    } else if (switches.count(name)) {
      if (value != "on" && value != "off") throw WrongArguments(name + " takes on or off, not '" + value + "'");
      *switches.at(name) = value;
    } else if (numbers.count(name)) {
      *numbers.at(name).first = number(name, value, numbers.at(name).second);
    } else {
      const size_t sign = value.find('=');
      if (sign == std::string::npos || sign == 0) {
        throw WrongArguments("--input takes NAME=FILE.npy, not '" + value + "'");
      }
      options.inputs.emplace_back(value.substr(0, sign), value.substr(sign + 1));
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

}  // namespace
