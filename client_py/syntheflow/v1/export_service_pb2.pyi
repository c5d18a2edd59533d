from syntheflow.v1 import job_service_pb2 as _job_service_pb2
from syntheflow.v1 import synthesis_service_pb2 as _synthesis_service_pb2
from syntheflow.v1 import writing_pb2 as _writing_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportRequest(_message.Message):
    __slots__ = ("generate", "destination", "mode", "namespace", "request_id")
    GENERATE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    generate: _synthesis_service_pb2.GenerateRequest
    destination: str
    mode: _writing_pb2.LoadMode
    namespace: str
    request_id: str
    def __init__(self, generate: _Optional[_Union[_synthesis_service_pb2.GenerateRequest, _Mapping]] = ..., destination: _Optional[str] = ..., mode: _Optional[_Union[_writing_pb2.LoadMode, str]] = ..., namespace: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ExportResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_service_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_service_pb2.Job, _Mapping]] = ...) -> None: ...
