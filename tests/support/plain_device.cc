// A custom device whose memory is the host's: a plug-in after Paddle's header, without a kernel of its own.
// Paddle runs its CPU kernels on copies of what lies on it, as it does for any operator a plug-in lacks.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "paddle/phi/backends/device_ext.h"

namespace {

C_Status Fine() { return C_SUCCESS; }
C_Status OfDevice(const C_Device) { return C_SUCCESS; }
C_Status GetDevice(const C_Device device) {
  device->id = 0;
  return C_SUCCESS;
}
C_Status CreateStream(const C_Device, C_Stream* stream) {
  *stream = nullptr;
  return C_SUCCESS;
}
C_Status OfStream(const C_Device, C_Stream) { return C_SUCCESS; }
C_Status CreateEvent(const C_Device, C_Event* event) {
  *event = nullptr;
  return C_SUCCESS;
}
C_Status OfEvent(const C_Device, C_Event) { return C_SUCCESS; }
C_Status OfBoth(const C_Device, C_Stream, C_Event) { return C_SUCCESS; }

C_Status Allocate(const C_Device, void** place, size_t size) {
  *place = std::malloc(size);
  return *place ? C_SUCCESS : C_FAILED;
}
C_Status Free(const C_Device, void* place, size_t) {
  std::free(place);
  return C_SUCCESS;
}
C_Status Copy(const C_Device, void* to, const void* from, size_t size) {
  std::memcpy(to, from, size);
  return C_SUCCESS;
}
C_Status CopyLater(const C_Device, C_Stream, void* to, const void* from, size_t size) {
  std::memcpy(to, from, size);
  return C_SUCCESS;
}

C_Status Count(size_t* count) {
  *count = 1;
  return C_SUCCESS;
}
C_Status List(size_t* devices) {
  devices[0] = 0;
  return C_SUCCESS;
}
C_Status Memory(const C_Device, size_t* total, size_t* free) {
  *total = *free = size_t{1} << 30;
  return C_SUCCESS;
}
C_Status Chunk(const C_Device, size_t* size) {
  *size = 512;
  return C_SUCCESS;
}

}  // namespace

void InitPlugin(CustomRuntimeParams* params) {
  PADDLE_CUSTOM_RUNTIME_CHECK_VERSION(params);
  static char type[] = "plain_device";
  static char sub[] = "1";
  params->device_type = type;
  params->sub_device_type = sub;
  C_DeviceInterface* device = params->interface;
  std::memset(static_cast<void*>(device), 0, sizeof(C_DeviceInterface));
  device->initialize = device->finalize = Fine;
  device->init_device = device->set_device = device->deinit_device = OfDevice;
  device->get_device = GetDevice;
  device->create_stream = CreateStream;
  device->destroy_stream = device->synchronize_stream = OfStream;
  device->create_event = CreateEvent;
  device->destroy_event = device->synchronize_event = OfEvent;
  device->record_event = device->stream_wait_event = OfBoth;
  device->synchronize_device = OfDevice;
  device->device_memory_allocate = device->host_memory_allocate = Allocate;
  device->device_memory_deallocate = device->host_memory_deallocate = Free;
  device->memory_copy_h2d = device->memory_copy_d2h = device->memory_copy_d2d = Copy;
  device->async_memory_copy_h2d = device->async_memory_copy_d2h = device->async_memory_copy_d2d = CopyLater;
  device->get_device_count = Count;
  device->get_device_list = List;
  device->device_memory_stats = Memory;
  device->device_min_chunk_size = Chunk;
}
