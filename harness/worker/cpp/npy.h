// Arrays in NumPy's .npy format (versions 1 to 3, little-endian, C order).

#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "paddle_inference.h"

namespace npy {

using paddle_infer::DataType;

struct Dtype {
  DataType type;
  const char* code;  // NumPy's, as in the file
  const char* name;
  size_t size;
};

// NumPy has no bfloat16: such an output is written as its bits, in uint16.
inline const std::vector<Dtype>& dtypes() {
  static const std::vector<Dtype> known = {
      {DataType::FLOAT32, "<f4", "float32", 4}, {DataType::FLOAT64, "<f8", "float64", 8},
      {DataType::FLOAT16, "<f2", "float16", 2}, {DataType::INT64, "<i8", "int64", 8},
      {DataType::INT32, "<i4", "int32", 4},     {DataType::INT8, "|i1", "int8", 1},
      {DataType::UINT8, "|u1", "uint8", 1},     {DataType::BOOL, "|b1", "bool", 1},
      {DataType::BFLOAT16, "<u2", "bfloat16", 2},
  };
  return known;
}

inline const Dtype& dtype(DataType type) {
  for (const Dtype& known : dtypes()) {
    if (known.type == type) return known;
  }
  throw std::runtime_error("the library gives data type number " + std::to_string(type) +
                           ", which this program does not know");
}

struct Array {
  DataType type = DataType::FLOAT32;
  std::vector<int> shape;
  std::vector<char> bytes;

  size_t elements() const {
    size_t count = 1;
    for (int size : shape) count *= static_cast<size_t>(size);
    return count;
  }
};

inline std::string text(const std::vector<int>& shape) {
  std::string joined;
  for (int size : shape) joined += (joined.empty() ? "" : ", ") + std::to_string(size);
  return "[" + joined + "]";
}

// Returns the text after 'key': in the header's Python dict, up to `end`.
inline std::string field(const std::string& header, const std::string& key, const std::string& end,
                         const std::string& what) {
  const size_t at = header.find("'" + key + "':");
  const size_t from = at == std::string::npos ? at : header.find_first_not_of(' ', at + key.size() + 3);
  const size_t to = from == std::string::npos ? from : header.find(end, from + 1);
  if (to == std::string::npos) throw std::runtime_error(what + " is no .npy file: its header has no " + key);
  return header.substr(from, to - from + 1);
}

// Throws std::runtime_error with a sentence that begins with `what`.
inline Array read(const std::string& content, const std::string& what) {
  if (content.size() < 12 || content.compare(0, 6, "\x93NUMPY") != 0) {
    throw std::runtime_error(what + " is no .npy file: save it with numpy.save");
  }
  const auto byte = [&](size_t at) { return static_cast<size_t>(static_cast<unsigned char>(content[at])); };
  const bool old = byte(6) == 1;
  const size_t start = old ? 10 : 12;
  const size_t length = byte(8) | byte(9) << 8 | (old ? 0 : byte(10) << 16 | byte(11) << 24);
  if (content.size() < start + length) throw std::runtime_error(what + " is cut off in its header");
  const std::string header = content.substr(start, length);

  Array array;
  const std::string code = field(header, "descr", "'", what).substr(1);
  const Dtype* found = nullptr;
  for (const Dtype& known : dtypes()) {
    if (known.code + std::string("'") == code && known.type != DataType::BFLOAT16) found = &known;
  }
  if (found == nullptr) {
    throw std::runtime_error(what + " holds dtype '" + code + ", which no input can take: convert it first");
  }
  array.type = found->type;
  if (field(header, "fortran_order", ",", what) != "False,") {
    throw std::runtime_error(what + " is in Fortran order: save numpy.ascontiguousarray of it");
  }
  const std::string shape = field(header, "shape", ")", what);
  for (size_t at = 0; (at = shape.find_first_of("0123456789", at)) != std::string::npos;) {
    size_t used = 0;
    array.shape.push_back(std::stoi(shape.substr(at), &used));
    at += used;
  }
  array.bytes.assign(content.begin() + static_cast<std::ptrdiff_t>(start + length), content.end());
  if (array.bytes.size() != array.elements() * found->size) {
    throw std::runtime_error(what + " holds " + std::to_string(array.bytes.size()) + " bytes of values, " +
                             text(array.shape) + " of " + found->name + " needs " +
                             std::to_string(array.elements() * found->size));
  }
  return array;
}

inline std::string written(const Array& array) {
  std::string shape;
  for (int size : array.shape) shape += std::to_string(size) + ", ";
  std::string header = std::string("{'descr': '") + dtype(array.type).code +
                       "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (10 + header.size()) % 64, ' ').append(1, '\n');
  std::string content("\x93NUMPY\x01\x00", 8);
  content += static_cast<char>(header.size() & 0xFF);
  content += static_cast<char>(header.size() >> 8);
  return content + header + std::string(array.bytes.begin(), array.bytes.end());
}

inline Array read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path + ": " + std::strerror(errno));
  return read(std::string(std::istreambuf_iterator<char>(file), {}), path);
}

inline void write_file(const std::string& path, const Array& array) {
  std::ofstream file(path, std::ios::binary);
  const std::string content = written(array);
  if (!file.write(content.data(), static_cast<std::streamsize>(content.size())).flush()) {
    throw std::runtime_error("cannot write " + path + ": " + std::strerror(errno));
  }
}

}  // namespace npy
