-- title: a mean of per-person means
SELECT avg(mean_bp) FROM (SELECT patient_id, avg(value) AS mean_bp FROM liver.measurements WHERE test = 'sbp' GROUP BY patient_id);
--> reads liver.measurements (at most 60 rows a person count): patient_id, test, value
--> keeps rows where test = 'sbp'
--> makes one row for each person
-->   computes d0.0 = mean of value, clamped to 60 .. 260 in steps of 0.01
--> measure 1: sum of deviations of d0.0, clamped to 60 .. 260 in steps of 0.01
--> measure 2: count of rows
--> each person counts with one row
--> shows avg(mean_bp): mean from measures 1 and 2

-- title: how many conditions people have
SELECT n, count(*) FROM (SELECT patient_id, count(*) AS n FROM liver.conditions GROUP BY patient_id) GROUP BY n;
--> reads liver.conditions (at most 14 rows a person count): patient_id
--> makes one row for each person
-->   computes d0.0 = count of rows
--> groups by d0.0: 14 public values, 1 .. 14
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows n: d0.0
--> shows count(*): measure 1

-- title: HAVING per person is a filter
SELECT count(*) FROM (SELECT patient_id FROM liver.conditions GROUP BY patient_id HAVING count(*) >= 2 AND max(day) > 0);
--> reads liver.conditions (at most 14 rows a person count): patient_id, day
--> makes one row for each person
-->   computes d0.0 = count of rows
-->   computes d0.1 = max of day
--> keeps rows where (d0.0 >= 2) and (d0.1 > 0)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: every fold of a person's rows
SELECT avg(rows), avg(days), avg(kinds), avg(total), avg(mean), avg(low), avg(high), count_if(high_once), count_if(high_always) FROM (SELECT patient_id, count(*) AS rows, count(day) AS days, count(DISTINCT day) AS kinds, sum(value) AS total, avg(value) AS mean, min(value) AS low, max(value) AS high, bool_or(value > 140) AS high_once, bool_and(value > 120) AS high_always FROM liver.measurements WHERE test = 'sbp' GROUP BY patient_id);
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where test = 'sbp'
--> makes one row for each person
-->   computes d0.0 = count of rows
-->   computes d0.1 = count of day
-->   computes d0.2 = count of different values of day
-->   computes d0.3 = sum of value, clamped to 60 .. 260 in steps of 0.01
-->   computes d0.4 = mean of value, clamped to 60 .. 260 in steps of 0.01
-->   computes d0.5 = min of value
-->   computes d0.6 = max of value
-->   computes d0.7 = any true of value > 140
-->   computes d0.8 = all true of value > 120
--> measure 1: sum of deviations of d0.0, clamped to 1 .. 60 in steps of 1
--> measure 2: sum of deviations of d0.1, clamped to 1 .. 60 in steps of 1
--> measure 3: sum of deviations of d0.2, clamped to 1 .. 60 in steps of 1
--> measure 4: sum of deviations of d0.3, clamped to 60 .. 15600 in steps of 0.01
--> measure 5: sum of deviations of d0.4, clamped to 60 .. 260 in steps of 0.01
--> measure 6: sum of deviations of d0.5, clamped to 60 .. 260 in steps of 0.01
--> measure 7: sum of deviations of d0.6, clamped to 60 .. 260 in steps of 0.01
--> measure 8: count of rows
--> measure 9: count of rows where d0.7
--> measure 10: count of rows where d0.8
--> each person counts with one row
--> shows avg(rows): mean from measures 1 and 8
--> shows avg(days): mean from measures 2 and 8
--> shows avg(kinds): mean from measures 3 and 8
--> shows avg(total): mean from measures 4 and 8
--> shows avg(mean): mean from measures 5 and 8
--> shows avg(low): mean from measures 6 and 8
--> shows avg(high): mean from measures 7 and 8
--> shows count_if(high_once): measure 9
--> shows count_if(high_always): measure 10

-- title: first and last by time
SELECT avg(latest - earliest) FROM (SELECT patient_id, arg_max(value, day) AS latest, first(value ORDER BY day) AS earliest, max_by(day, value), min_by(day, value), last(day ORDER BY day) FROM liver.measurements WHERE test = 'sbp' GROUP BY patient_id);
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where test = 'sbp'
--> makes one row for each person
-->   computes d0.0 = first of value by day descending
-->   computes d0.1 = first of value by day
--> measure 1: sum of deviations of d0.0 - d0.1, clamped to -200 .. 200 in steps of 0.01
--> measure 2: count of rows
--> each person counts with one row
--> shows avg(latest - earliest): mean from measures 1 and 2

-- title: a key beside the person
SELECT test, avg(most) FROM (SELECT patient_id, test, max(value) AS most FROM liver.measurements GROUP BY patient_id, test) GROUP BY test;
--> reads liver.measurements (at most 60 rows a person count): patient_id, test, value
--> makes one row for each person and test
-->   computes d0.0 = max of value
--> groups by test: 'fib4', 'hdl', 'sbp', 'smoke'
--> measure 1: sum of deviations of d0.0, clamped to 0 .. 260 in steps of 0.01
--> measure 2: count of rows
--> each person counts with at most 4 rows in all, in at most 4 groups
--> shows test: test
--> shows avg(most): mean from measures 1 and 2

-- title: bounds by a key beside the person
SELECT avg(most) FROM (SELECT patient_id, test, max(value) AS most FROM liver.measurements GROUP BY patient_id, test) WHERE test = 'sbp';
--> reads liver.measurements (at most 60 rows a person count): patient_id, test, value
--> makes one row for each person and test
-->   computes d0.0 = max of value
--> keeps rows where test = 'sbp'
--> measure 1: sum of deviations of d0.0, clamped to 60 .. 260 in steps of 0.01
--> measure 2: count of rows
--> each person counts with one row
--> shows avg(most): mean from measures 1 and 2

-- title: CTEs joined on the person
WITH bp AS (SELECT patient_id, avg(value) AS sbp FROM liver.measurements WHERE test = 'sbp' GROUP BY patient_id), ill AS (SELECT patient_id, count(*) AS n FROM liver.conditions GROUP BY patient_id) SELECT p.is_male, avg(bp.sbp), avg(ill.n) FROM liver.patients p JOIN bp USING (patient_id) LEFT JOIN ill USING (patient_id) GROUP BY p.is_male;
--> reads liver.patients (one row a person): patient_id, is_male
--> joins on the person:
-->   reads liver.measurements (at most 60 rows a person count): patient_id, test, value
-->   keeps rows where measurements.test = 'sbp'
-->   makes one row for each person
-->     computes d0.0 = mean of measurements.value, clamped to 60 .. 260 in steps of 0.01
--> joins on the person, keeping rows without a match:
-->   reads liver.conditions (at most 14 rows a person count): patient_id
-->   makes one row for each person
-->     computes d1.0 = count of rows
--> groups by patients.is_male: false, true
--> measure 1: sum of deviations of d0.0, clamped to 60 .. 260 in steps of 0.01
--> measure 2: sum of deviations of d1.0, clamped to 1 .. 14 in steps of 1
--> measure 3: count of rows where d1.0 is not null
--> measure 4: count of rows
--> each person counts with one row in one group
--> shows is_male: patients.is_male
--> shows avg(bp.sbp): mean from measures 1 and 4
--> shows avg(ill.n): mean from measures 2 and 3

-- title: a CTE read twice
WITH c AS (SELECT patient_id, day, condition FROM liver.conditions) SELECT count(*) FROM c AS a JOIN c AS b USING (patient_id) WHERE a.condition = 'diabetes' AND b.condition = 'stroke' AND a.day < b.day;
--> reads liver.conditions (at most 14 rows a person count): patient_id, day, condition
--> joins on the person:
-->   reads liver.conditions (at most 14 rows a person count): patient_id, day, condition
--> keeps rows where (conditions#2.condition = 'stroke') and (conditions.condition = 'diabetes') and (conditions.day < conditions#2.day)
--> measure 1: count of rows
--> each person counts with at most 196 rows
--> shows count(*): measure 1

-- title: a CTE on a CTE, with column names
WITH a (who, onset_day) AS (SELECT patient_id, day FROM liver.conditions), b AS (SELECT who, min(onset_day) AS onset FROM a GROUP BY who) SELECT avg(onset) FROM b;
--> reads liver.conditions (at most 14 rows a person count): patient_id, day
--> makes one row for each person
-->   computes d1.0 = min of day
--> measure 1: sum of deviations of d1.0, clamped to -17000 .. 8000 in steps of 1
--> measure 2: count of rows
--> each person counts with one row
--> shows avg(onset): mean from measures 1 and 2, in days

-- title: a fold with FILTER
SELECT avg(hdl - sbp) FROM (SELECT patient_id, avg(value) FILTER (WHERE test = 'hdl') AS hdl, avg(value) FILTER (WHERE test = 'sbp') AS sbp FROM liver.measurements GROUP BY patient_id);
--> reads liver.measurements (at most 60 rows a person count): patient_id, test, value
--> makes one row for each person
-->   computes d0.0 = mean of value, clamped to 10 .. 150 in steps of 0.01 where test = 'hdl'
-->   computes d0.1 = mean of value, clamped to 60 .. 260 in steps of 0.01 where test = 'sbp'
--> measure 1: sum of deviations of d0.0 - d0.1, clamped to -250 .. 90 in steps of 0.01
--> measure 2: count of rows where d0.0 is not null and d0.1 is not null
--> each person counts with one row
--> shows avg(hdl - sbp): mean from measures 1 and 2

-- title: distinct rows of each person
SELECT condition, count(*) FROM (SELECT DISTINCT patient_id, condition FROM liver.conditions) GROUP BY condition;
--> reads liver.conditions (at most 14 rows a person count): patient_id, condition
--> keeps each different row once
--> groups by condition: 'nafld', 'diabetes', 'stroke', 'htn'
--> measure 1: count of rows
--> each person counts with at most 4 rows in all, in at most 4 groups
--> shows condition: condition
--> shows count(*): measure 1

-- title: a sub-query of plain columns leaves no trace
SELECT avg(b) FROM (SELECT bmi AS b, age FROM liver.patients WHERE age > 30) AS t WHERE age < 60;
--> reads liver.patients (one row a person): patient_id, age, bmi
--> keeps rows where (age > 30) and (age < 60)
--> measure 1: sum of deviations of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: count of rows where bmi is not null
--> each person counts with one row
--> shows avg(b): mean from measures 1 and 2, in kg/m2

-- title: a star inside a sub-query, restricted columns left out
SELECT count(*) FROM (SELECT * FROM liver.patients) AS p WHERE p.age > 30;
--> reads liver.patients (one row a person): patient_id, age
--> keeps rows where age > 30
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: computed columns of a sub-query
SELECT avg(excess) FROM (SELECT patient_id, bmi - 25 AS excess FROM liver.patients) WHERE excess > 0;
--> reads liver.patients (one row a person): patient_id, bmi
--> computes d1.1 = bmi - 25
--> keeps rows where d1.1 > 0
--> measure 1: sum of deviations of d1.1, clamped to 0 .. 45 in steps of 0.01
--> measure 2: count of rows
--> each person counts with one row
--> shows avg(excess): mean from measures 1 and 2, in kg/m2
