# MLflow's server with the drivers of PostgreSQL and S3.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements/uv.txt requirements/tracking.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt \
    && uv venv /opt/mlflow \
    && uv pip install --no-cache --compile-bytecode --python /opt/mlflow/bin/python --require-hashes -r requirements/tracking.txt

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin mlflow
COPY --from=build /opt/mlflow /opt/mlflow
USER mlflow
ENV PATH=/opt/mlflow/bin:$PATH PYTHONUNBUFFERED=1 MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=3s --start-period=90s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=2)"]
ENTRYPOINT ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000"]
CMD ["--artifacts-destination", "s3://detsweep/mlflow"]
